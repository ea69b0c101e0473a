package imapd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// responses are all responses and response codes of RFC 9051, and those of RFC
// 3501 that it dropped, with a pattern that some transcript's server line has.
var responses = []struct{ section, name, pattern string }{
	{"9051 7.1.1", "OK", `a OK `}, {"9051 7.1.1", "OK, untagged", `\* OK \[`},
	{"9051 7.1.2", "NO", `a NO `}, {"9051 7.1.2", "NO, untagged", `\* NO \[`},
	{"9051 7.1.3", "BAD", `a BAD `}, {"9051 7.1.3", "BAD, untagged", `\* BAD `},
	{"9051 7.1.5", "BYE", `\* BYE `},
	{"9051 7.2.1", "ENABLED", `\* ENABLED`}, {"9051 7.2.2", "CAPABILITY", `\* CAPABILITY `},
	{"9051 7.3.1", "LIST", `\* LIST \(`}, {"9051 7.3.1", "LIST with CHILDINFO", `\* LIST .*CHILDINFO`},
	{"3501 7.2.3", "LSUB", `\* LSUB \(`}, {"9051 7.3.2", "NAMESPACE", `\* NAMESPACE `},
	{"9051 7.3.3", "STATUS", `\* STATUS `}, {"9051 7.3.4", "ESEARCH", `\* ESEARCH \(TAG `},
	{"3501 7.2.5", "SEARCH", `\* SEARCH `}, {"9051 7.3.5", "FLAGS", `\* FLAGS \(`},
	{"9051 7.4.1", "EXISTS", `\* \d+ EXISTS`}, {"3501 7.3.2", "RECENT", `\* \d+ RECENT`},
	{"9051 7.5.1", "EXPUNGE", `\* \d+ EXPUNGE`}, {"9051 7.5.2", "FETCH", `\* \d+ FETCH \(`},
	{"7162 3.2.10", "VANISHED", `\* VANISHED [0-9{]`}, {"7162 3.2.10.1", "VANISHED (EARLIER)", `\* VANISHED \(EARLIER\)`},
	{"4314 3.6", "ACL", `\* ACL Shared `}, {"4314 3.7", "LISTRIGHTS", `\* LISTRIGHTS Shared `}, {"4314 3.8", "MYRIGHTS", `\* MYRIGHTS "Other Users/`},
	{"9051 7.6", "continuation", `\+ `}, {"2971 3.2", "ID", `\* ID \(`},

	{"9051 7.5.2", "BINARY", `BINARY\[`}, {"9051 7.5.2", "BINARY, literal8", `BINARY\[[0-9.]*\].* ~\{`}, {"9051 7.5.2", "BINARY.SIZE", `BINARY\.SIZE\[`},
	{"9051 7.5.2", "BODY", `BODY \(`}, {"9051 7.5.2", "BODY[]", `BODY\[\] `}, {"9051 7.5.2", "BODY[]<>", `BODY\[\]<\d+>`},
	{"9051 7.5.2", "BODYSTRUCTURE", `BODYSTRUCTURE \(`}, {"9051 7.5.2", "ENVELOPE", `ENVELOPE \(`},
	{"9051 7.5.2", "FETCH FLAGS", `FETCH \(FLAGS`}, {"9051 7.5.2", "INTERNALDATE", `INTERNALDATE "`},
	{"9051 7.5.2", "RFC822.SIZE", `RFC822\.SIZE \d`}, {"9051 7.5.2", "UID", `FETCH \(UID \d`}, {"7162 3.1.4.2", "MODSEQ", `MODSEQ \(`},
	{"3501 7.4.2", "RFC822", `RFC822 \{`}, {"3501 7.4.2", "RFC822.HEADER", `RFC822\.HEADER \{`}, {"3501 7.4.2", "RFC822.TEXT", `RFC822\.TEXT \{`},

	{"9051 7.1", "ALERT", `\* OK \[ALERT\]`}, {"9051 7.1", "CORRUPTION", `NO \[CORRUPTION\]`},
	{"9051 7.1", "READ-ONLY, untagged", `\* OK \[READ-ONLY\]`}, {"9051 7.1", "READ-WRITE, untagged", `\* OK \[READ-WRITE\]`},
	{"9051 7.1", "ALREADYEXISTS", `NO \[ALREADYEXISTS\]`}, {"9051 7.1", "APPENDUID", `OK \[APPENDUID `},
	{"9051 7.1", "AUTHENTICATIONFAILED", `NO \[AUTHENTICATIONFAILED\]`}, {"9051 7.1", "BADCHARSET", `NO \[BADCHARSET \(`},
	{"9051 7.1", "CANNOT", `NO \[CANNOT\]`}, {"9051 7.1", "CAPABILITY code", `OK \[CAPABILITY `}, {"9051 7.1", "CLOSED", `OK \[CLOSED\]`},
	{"9051 7.1", "COPYUID", `OK \[COPYUID `}, {"9051 7.1", "EXPUNGEISSUED", `NO \[EXPUNGEISSUED\]`},
	{"9051 7.1", "LIMIT", `NO \[LIMIT\]`}, {"9051 7.1", "NONEXISTENT", `NO \[NONEXISTENT\]`}, {"9051 7.1", "NOPERM", `NO \[NOPERM\]`},
	{"9051 7.1", "PERMANENTFLAGS", `OK \[PERMANENTFLAGS \(`}, {"9051 7.1", "READ-ONLY", `OK \[READ-ONLY\]`}, {"9051 7.1", "READ-WRITE", `OK \[READ-WRITE\]`},
	{"9051 7.1", "TRYCREATE", `NO \[TRYCREATE\]`}, {"9051 7.1", "UIDNEXT", `OK \[UIDNEXT `}, {"9051 7.1", "UIDVALIDITY", `OK \[UIDVALIDITY `},
	{"9051 7.1", "UIDNOTSTICKY", `NO \[UIDNOTSTICKY\]`}, {"9051 7.1", "UNAVAILABLE", `NO \[UNAVAILABLE\]`}, {"9051 7.1", "UNKNOWN-CTE", `NO \[UNKNOWN-CTE\]`},
	{"3501 7.1", "UNSEEN", `OK \[UNSEEN `}, {"6154 6", "USEATTR", `NO \[USEATTR\]`}, {"7162 7", "HIGHESTMODSEQ", `OK \[HIGHESTMODSEQ `},
	{"7162 7", "NOMODSEQ", `OK \[NOMODSEQ\]`}, {"7162 7", "MODIFIED", `OK \[MODIFIED `}, {"7889 3", "TOOBIG", `NO \[TOOBIG\]`},
}

// elsewhere are codes that no transcript can bring about, and where they are
// shown; unsent are those that are never right here.
var elsewhere = map[string]string{
	"PRIVACYREQUIRED": "TestLoginDisabled",
	"SERVERBUG":       "TestAnswers", "INUSE": "TestAnswers", "OVERQUOTA": "TestAnswers",
}

var unsent = map[string]string{
	"AUTHORIZATIONFAILED": "who logs in may use what is theirs; nobody acts for another",
	"CLIENTBUG":           "what it would tell is not worth a user's attention",
	"CONTACTADMIN":        "the same",
	"EXPIRED":             "credentials do not expire",
	"HASCHILDREN":         "DELETE of a mailbox with children leaves the name, RFC 9051 section 6.3.5",
	"PARSE":               "mail that is malformed is told as far as it goes",
}

// transcripts gives all server lines of all scripts.
func transcripts(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, pattern := range []string{"testdata/*.txt", "testdata/*/*.txt"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`^(rfc\d+-[\d.]+|rfc\d+|design-\d)-`).MatchString(filepath.Base(f)) {
				t.Errorf("%s names no section", f)
			}
			for _, l := range strings.Split(string(text), "\n") {
				if m := regexp.MustCompile(`^[A-Z]\d*: S[:?~] (.*)`).FindStringSubmatch(l); m != nil {
					b.WriteString(m[1] + "\n")
				}
			}
		}
	}
	return b.String()
}

// Every response and every code is in a transcript, or is told where else.
func TestResponses(t *testing.T) {
	all := transcripts(t)
	known := make(map[string]bool)
	for _, r := range responses {
		known[r.name] = true
		if !regexp.MustCompile(r.pattern).MatchString(all) {
			t.Errorf("RFC %s, %s: no transcript has it", r.section, r.name)
		}
	}
	var tests strings.Builder
	files, _ := filepath.Glob("*_test.go")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		tests.Write(text)
	}
	for code, test := range elsewhere {
		known[code] = true
		if !strings.Contains(tests.String(), "func "+test+"(") {
			t.Errorf("%s: there is no %s", code, test)
		}
	}
	for _, k := range kinds {
		if !known[k.code] {
			t.Errorf("%s is sent and not in the list", k.code)
		}
	}
	for code := range unsent {
		if regexp.MustCompile(`\[` + code + `[] ]`).MatchString(all) {
			t.Errorf("%s is sent after all", code)
		}
	}
}
