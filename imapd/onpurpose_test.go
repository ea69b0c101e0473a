package imapd

import (
	"regexp"
	"slices"
	"strings"
)

// difference is something that Postroom answers otherwise than Dovecot, and why.
// level makes the two replies to a command equal in this point and in no other.
type difference struct {
	why   string
	level func(command string, ours, theirs *reply)
}

var onPurpose = []difference{
	{"RFC 9051 section 7.1: every NO that has a code of its own bears it; Dovecot's are often without",
		func(_ string, ours, theirs *reply) {
			if ours.kind == "NO" && theirs.kind == "NO" && theirs.code == "" {
				theirs.code = ours.code
			}
		}},
	{"RFC 5530: which code a NO to these has is free where two would fit",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "CREATE", "DELETE", "RENAME", "SUBSCRIBE") && ours.kind == "NO" && theirs.kind == "NO" {
				theirs.code = ours.code
			}
		}},
	{"RFC 3501 section 6.3.8: LIST with an empty name tells an empty root for a name that has none; Dovecot, the first level",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "LIST") && strings.HasSuffix(command, ` ""`) && len(theirs.lines) == 1 {
				theirs.lines[0] = strings.Replace(strings.Replace(theirs.lines[0], "Work/", "", 1), "Top/", "", 1)
			}
		}},
	{"RFC 7162 section 3.2.4: Dovecot repeats the UID with flags that it set where the client asked for FLAGS",
		func(command string, ours, theirs *reply) {
			for n, items := range theirs.fetch {
				if isVerb(command, "FETCH") && ours.fetch[n]["UID"] == "" {
					delete(items, "UID")
				}
			}
		}},
	{"RFC 7162 section 3.1.2.1: HIGHESTMODSEQ is told by every SELECT; Dovecot waits until a client wants it",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "SELECT", "EXAMINE") && !slices.Contains(theirs.lines, "OK HIGHESTMODSEQ N") {
				ours.drop("OK HIGHESTMODSEQ N")
			}
		}},
	{"RFC 7162 section 3.2.5: Dovecot tells HIGHESTMODSEQ to QRESYNC clients also where nothing was expunged",
		func(command string, ours, theirs *reply) {
			if !isVerb(command, "SELECT", "EXAMINE") && !slices.Contains(ours.lines, "OK HIGHESTMODSEQ N") {
				theirs.drop("OK HIGHESTMODSEQ N")
			}
		}},
	{"RFC 7162 sections 3.2.7 and 3.2.8: EXPUNGE and CLOSE tell HIGHESTMODSEQ also where they expunged nothing",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "CLOSE", "EXPUNGE") && len(ours.lines) == 0 && theirs.code == "" && ours.code == "HIGHESTMODSEQ N" {
				ours.code = ""
			}
		}},
	{"RFC 9051 section 6.4.6: STORE tells every message; Dovecot tells those that change",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "STORE") {
				for n := range ours.fetch {
					if theirs.fetch[n] == nil {
						delete(ours.fetch, n)
					}
				}
			}
		}},
	{"RFC 9051 section 6.3.3: STORE and EXPUNGE in a mailbox that was EXAMINEd fail; Dovecot says OK and does nothing",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "STORE", "EXPUNGE") && ours.code == "READ-ONLY" {
				theirs.kind, theirs.code = ours.kind, ours.code
			}
		}},
	{"RFC 9051 section 7.3.5: a keyword is among FLAGS when a message has it; with Dovecot, when a command named it",
		func(command string, ours, theirs *reply) {
			if !isVerb(command, "SELECT", "EXAMINE") {
				ours.drop("FLAGS ", "OK PERMANENTFLAGS ")
				theirs.drop("FLAGS ", "OK PERMANENTFLAGS ")
				return
			}
			for _, k := range []string{"$work", "$forwarded", "other"} {
				if !strings.Contains(strings.Join(ours.lines, " "), k) {
					for i, l := range theirs.lines {
						l = strings.ReplaceAll(strings.ReplaceAll(l, " "+k, ""), k+" ", "")
						theirs.lines[i] = l
					}
				}
			}
		}},
	{"RFC 9051 section 6.3.11: STATUS of the selected mailbox is no fault; Dovecot calls it CLIENTBUG",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "STATUS") && theirs.code == "CLIENTBUG" {
				theirs.code = ""
			}
		}},
	{"RFC 3516 section 4.2: BINARY decodes what is encoded, and nothing within; Dovecot rewrites composite parts",
		func(_ string, ours, theirs *reply) {
			for n, items := range ours.fetch {
				for k := range items {
					if strings.HasPrefix(k, "BINARY[") && theirs.fetch[n] != nil &&
						strings.Contains(theirs.fetch[n][k], `\r\nContent-Transfer-Encoding: binary\r\n`) {
						theirs.fetch[n][k] = items[k]
					}
				}
			}
		}},
	{"RFC 5258 section 4: \\HasChildren and \\HasNoChildren are told always; Dovecot leaves them out of an extended LIST",
		func(command string, ours, theirs *reply) {
			if isVerb(command, "LIST") && !strings.Contains(strings.Join(theirs.lines, ""), "children") {
				for i, l := range ours.lines {
					ours.lines[i] = childrenWord.ReplaceAllString(l, "")
				}
			}
		}},
	{"RFC 5258 section 3.1, note 2: a parent is told whether or not the pattern has its child; Dovecot leaves it out then",
		func(command string, ours, theirs *reply) {
			if !strings.Contains(command, "RECURSIVEMATCH") {
				return
			}
			var gone []string
			ours.lines = slices.DeleteFunc(ours.lines, func(l string) bool {
				name := l[:max(strings.IndexByte(l, '('), 0)]
				drop := strings.Contains(l, "CHILDINFO") && !slices.ContainsFunc(theirs.lines, func(m string) bool { return strings.HasPrefix(m, name) })
				if drop {
					gone = append(gone, strings.Replace(name, "LIST", "STATUS", 1))
				}
				return drop
			})
			for _, prefix := range gone {
				ours.drop(prefix)
			}
		}},
	{"RFC 9051 section 6.3.5: a name that was deleted while names are below it is \\Noselect; Dovecot lists it as if it were there",
		func(command string, ours, theirs *reply) {
			if !isVerb(command, "LIST") {
				return
			}
			for i, l := range ours.lines {
				if plain := noMailbox.ReplaceAllString(l, ""); !slices.Contains(theirs.lines, l) && slices.Contains(theirs.lines, plain) {
					ours.lines[i] = plain
					theirs.lines = slices.DeleteFunc(theirs.lines, func(l string) bool { return l == "NO" }) // its STATUS
				}
			}
		}},
	{"RFC 5182 section 2.1: SAVE alone is answered by nothing; Dovecot sends an empty ESEARCH",
		func(command string, _, theirs *reply) {
			if strings.Contains(command, "RETURN (SAVE)") {
				theirs.drop("ESEARCH")
			}
		}},
}

var childrenWord = regexp.MustCompile(`\\has(no)?children ?`)

var noMailbox = regexp.MustCompile(` ?\\(noselect|nonexistent)`)

// isVerb tells whether a command is one of some, with UID or without.
func isVerb(command string, verbs ...string) bool {
	verb, _, _ := strings.Cut(strings.TrimPrefix(command, "UID "), " ")
	return slices.Contains(verbs, verb)
}

// drop takes lines that begin so out of a reply.
func (r *reply) drop(prefixes ...string) {
	r.lines = slices.DeleteFunc(r.lines, func(l string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(l, p) })
	})
}
