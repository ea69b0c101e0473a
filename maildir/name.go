package maildir

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A message's file name is BASE[,U=<n>][:INFO]. The base is its identity and
// never changes while the message exists. It may hold fields such as
// ,S=<octets> and ,W=<octets with CRLF line ends>. The field ,U= at its end is mbsync's,
// which adds, changes and removes it as it likes: it is part of the name that
// the uid list holds, but not of the identity. The info part "2," carries the
// flags as letters; what follows a further comma is not ours and is kept.

// fullBase cuts the info part off: the name as the uid list has it.
func fullBase(name string) string {
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return name[:i]
	}
	return name
}

// baseOf gives the identity in a name.
func baseOf(name string) string {
	base := fullBase(name)
	i := len(base)
	for i > 0 && base[i-1] >= '0' && base[i-1] <= '9' {
		i--
	}
	if i < len(base) && i > 3 && base[i-3:i] == ",U=" {
		return base[:i-3]
	}
	return base
}

// usable tells whether a directory entry can be a message: hidden files belong
// to programs, an empty base or a line break cannot stand in the uid list.
func usable(name []byte) bool {
	return len(name) > 0 && len(name) <= 255 && name[0] != '.' && name[0] != ':' &&
		bytes.IndexByte(name, '\n') < 0 && bytes.IndexByte(name, '\r') < 0
}

// flagsOf reads the flags in a name. Files in new/ may carry them too.
func flagsOf(name string) Flags {
	info := infoOf(name)
	var f Flags
	for i := 0; i < len(info) && info[i] != ','; i++ {
		switch c := info[i]; {
		case c >= 'a' && c <= 'z':
			f |= 1 << (letterShift + Flags(c-'a'))
		default:
			for _, l := range systemLetters {
				if l.letter == c {
					f |= l.flag
				}
			}
		}
	}
	return f
}

// infoOf gives what follows ":2,", or "".
func infoOf(name string) string {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || !strings.HasPrefix(name[i+1:], "2,") {
		return ""
	}
	return name[i+3:]
}

// withFlags gives the name with its flags replaced. Unknown capitals and
// whatever follows a further comma stay; letters are written in ASCII order,
// which every reader of Maildirs expects.
func withFlags(name string, f Flags) string {
	info := infoOf(name)
	tail := ""
	if i := strings.IndexByte(info, ','); i >= 0 {
		info, tail = info[:i], info[i:]
	}
	var b [64]byte
	letters := b[:0]
	for _, l := range systemLetters {
		if f&l.flag != 0 {
			letters = append(letters, l.letter)
		}
	}
	for i := 0; i < len(info) && len(letters) < 200; i++ {
		if c := info[i]; !isFlagLetter(c) && bytes.IndexByte(letters, c) < 0 {
			letters = append(letters, c)
		}
	}
	for i := range maxLetters {
		if f&(1<<(letterShift+i)) != 0 {
			letters = append(letters, 'a'+byte(i))
		}
	}
	sortBytes(letters)
	head := name
	if i := strings.LastIndexByte(name, ':'); i >= 0 && strings.HasPrefix(name[i+1:], "2,") {
		head = name[:i]
	}
	return head + ":2," + string(letters) + tail
}

func isFlagLetter(c byte) bool {
	if c >= 'a' && c <= 'z' {
		return true
	}
	for _, l := range systemLetters {
		if l.letter == c {
			return true
		}
	}
	return false
}

func sortBytes(b []byte) {
	for i := 1; i < len(b); i++ {
		for j := i; j > 0 && b[j] < b[j-1]; j-- {
			b[j], b[j-1] = b[j-1], b[j]
		}
	}
}

// sizeField reads ,S= or ,W= from a name; -1 when it is not there.
func sizeField(name string, key byte) int64 {
	base := fullBase(name)
	for i := 0; i+3 < len(base); i++ {
		if base[i] != ',' || base[i+1] != key || base[i+2] != '=' {
			continue
		}
		end := i + 3
		for end < len(base) && base[end] >= '0' && base[end] <= '9' {
			end++
		}
		if end == i+3 || end < len(base) && base[end] != ',' {
			continue
		}
		if n, err := strconv.ParseInt(base[i+3:end], 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// arrival orders messages without a UID: the seconds at the start of the name,
// then the M field's microseconds, then the name, as Dovecot does.
type arrival struct {
	sec, usec uint64
}

func arrivalOf(base string) arrival {
	sec, i := leadingNumber(base)
	if i == 0 {
		return arrival{sec: math.MaxUint64}
	}
	a := arrival{sec: sec}
	if rest := base[i:]; strings.HasPrefix(rest, ".M") {
		a.usec, _ = leadingNumber(rest[2:])
	}
	return a
}

// leadingNumber reads the digits that s begins with, n of them; too large a number counts as the largest.
func leadingNumber(s string) (v uint64, n int) {
	const most = math.MaxUint64/10 - 1
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		if v > most {
			v = math.MaxUint64
		} else {
			v = v*10 + uint64(s[n]-'0')
		}
		n++
	}
	return v, n
}

// key is a number that is less for one of two arrivals only if that is the earlier.
func (a arrival) key() uint64 {
	const bits = 20 // enough for a million microseconds
	if a.sec >= 1<<(64-bits) {
		return math.MaxUint64
	}
	return a.sec<<bits | min(a.usec, 1<<bits-1)
}

// compareArrivals orders base names by arrival.
func compareArrivals(a, b string) int {
	if c := arrivalOf(a).compare(arrivalOf(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func leadingDigits(s string) (digits, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

func (a arrival) compare(b arrival) int {
	switch {
	case a.sec < b.sec, a.sec == b.sec && a.usec < b.usec:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// names mints base names that no other process and no other call uses: time,
// process, a random number of this process, host. It is safe for concurrent use.
type names struct {
	clock func() time.Time
	pid   int
	host  string // as names end
	tail  string

	mu   sync.Mutex
	last int64 // guarded by mu: microseconds of the last name
}

func newNames(clock func() time.Time, host string) *names {
	var r [4]byte
	rand.Read(r[:])
	host = strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`).Replace(host)
	return &names{
		clock: clock,
		pid:   os.Getpid(),
		host:  "." + host,
		tail:  fmt.Sprintf("P%dR%s.%s", os.Getpid(), hex.EncodeToString(r[:]), host),
	}
}

func (n *names) mint() string {
	now := n.clock().UnixMicro()
	n.mu.Lock()
	if now <= n.last {
		now = n.last + 1
	}
	n.last = now
	n.mu.Unlock()
	return fmt.Sprintf("%d.M%d%s", now/1e6, now%1e6, n.tail)
}
