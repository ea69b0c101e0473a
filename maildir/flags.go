package maildir

// Flags holds a message's system flags and the keywords that have a letter in
// the file name: the five low bits are the system flags, bit 5+n is the keyword
// of letter 'a'+n.
type Flags uint32

// The system flags of RFC 9051 section 2.3.2, in the order of their letters.
const (
	Draft    Flags = 1 << iota // D
	Flagged                    // F
	Answered                   // R
	Seen                       // S
	Deleted                    // T

	System = Draft | Flagged | Answered | Seen | Deleted
)

const (
	letterShift = 5  // bit of keyword letter 'a'
	maxLetters  = 26 // keywords that fit into a file name

	allLetters = (1<<maxLetters - 1) << letterShift

	flagNew Flags = 1 << 31 // the file is in new/
)

// systemLetters maps the letters of an info part to flags, in ASCII order.
var systemLetters = [...]struct {
	letter byte
	flag   Flags
	name   string
}{
	{'D', Draft, `\Draft`},
	{'F', Flagged, `\Flagged`},
	{'R', Answered, `\Answered`},
	{'S', Seen, `\Seen`},
	{'T', Deleted, `\Deleted`},
}
