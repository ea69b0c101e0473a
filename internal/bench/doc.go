// Command bench measures Postroom and Debian's Dovecot side by side, on equal
// trees in one run, and prints what Postroom costs as a ratio.
//
// Each work is done by all sides in turn (A B C A B C ...), each on a tree and
// with a server process of its own; medians of the rounds are compared. CPU is
// what all processes of the server took, from a control group of its own, so
// that processes which ended are in it; it is read when the server has come to
// rest, so that work put off is in it too. The page cache is filled alike
// before each round. Answers are counted: a side that answers something else
// than expected, or than another side, fails the work.
//
// The floor is what the same files cost a bare loop of system calls in this
// run; see floor.go.
//
// Files: main and works say what is run, family how; work_* are the works, one
// family a file; site, postroom, dovecot are the sides; imap, pop3, drain the
// clients; corpus, mail the trees; group, proc, measure what is measured;
// stats, table, machine the output.
package main
