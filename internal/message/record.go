package message

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"
)

// Record is what is worth keeping of a parsed message, in one run of octets:
// answers ready for the wire, the header fields that clients ask for, and where
// its parts lie. It may be written to a file and read back by ParseRecord; it
// is safe for concurrent readers as long as nobody changes the octets.
//
//	0   octets of the file, 8
//	8   octets with CRLF line ends, 8
//	16  the Date field: seconds since 1970, 8; zone in seconds east, 4
//	28  bits, 4: recordNUL and so on
//	32  header fields that are not whole in the record, a bit each, 8
//	40  lengths, 4 each: ENVELOPE, BODYSTRUCTURE, BODY, parts, header fields, their directory
//	64  those, in this order
//
// Numbers are little-endian.
type Record []byte

const (
	recordHead  = 64
	recordBlobs = 6
	maxDateAge  = 1 << 48 // seconds; no year of four digits is as far from 1970
)

// Bits of a record.
const (
	recordNUL   = 1 << iota // the message has NULs
	recordDate              // it has a Date that can be read
	recordWhole             // its header fields are all there
)

// errRecord says that octets are no record.
var errRecord = errors.New("message: not a record")

// RecordVersion is raised when records, or the answers in them, change: older ones are of no use then.
const RecordVersion = 1

// AppendRecord appends the record of a message whose octets src holds. The
// only errors are src's; nothing is appended then.
func AppendRecord(dst []byte, m *Message, src io.ReaderAt) ([]byte, error) {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.RawSize))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.Size))
	var bits, zone uint32
	var sent int64
	if date, ok := m.SentDate(); ok {
		_, east := date.Zone()
		bits, sent, zone = recordDate, date.Unix(), uint32(int32(east))
	}
	if m.HasNUL {
		bits |= recordNUL
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(sent))
	dst = binary.LittleEndian.AppendUint32(dst, zone)
	dst = append(dst, make([]byte, recordHead-28)...)
	lens := [recordBlobs]int{}
	for i, add := range []func([]byte) []byte{m.AppendEnvelope, m.AppendBodyStructure, m.AppendBody, m.appendParts} {
		n := len(dst)
		dst = add(dst)
		lens[i] = len(dst) - n
	}
	n := len(dst)
	dst, missing, whole, err := appendKept(dst, m, src)
	if err != nil {
		return dst[:start], err
	}
	if lens[4] = len(dst) - n; whole {
		bits |= recordWhole
	}
	n = len(dst)
	dst = appendDirectory(dst, dst[n-lens[4]:])
	lens[5] = len(dst) - n
	head := dst[start:]
	binary.LittleEndian.PutUint32(head[28:], bits)
	binary.LittleEndian.PutUint64(head[32:], missing)
	for i, n := range lens {
		binary.LittleEndian.PutUint32(head[40+4*i:], uint32(n))
	}
	return dst, nil
}

// ParseRecord checks that b is a record; numbers in it lead nowhere outside of it.
func ParseRecord(b []byte) (Record, error) {
	r := Record(b)
	if len(b) < recordHead {
		return nil, errRecord
	}
	if r.RawSize() < 0 || r.Size() < r.RawSize() || r.Size()/2 > r.RawSize() {
		return nil, errRecord
	}
	sum := uint64(recordHead)
	for i := range recordBlobs {
		sum += uint64(binary.LittleEndian.Uint32(b[40+4*i:]))
	}
	if at := int64(r.u64(16)); sum != uint64(len(b)) || at > maxDateAge || at < -maxDateAge {
		return nil, errRecord
	}
	return r, nil
}

func (r Record) u64(off int) uint64 { return binary.LittleEndian.Uint64(r[off:]) }
func (r Record) bits() uint32       { return binary.LittleEndian.Uint32(r[28:]) }

// blob gives the i-th of the runs that follow the head.
func (r Record) blob(i int) []byte {
	off := recordHead
	for k := range i {
		off += int(binary.LittleEndian.Uint32(r[40+4*k:]))
	}
	return r[off : off+int(binary.LittleEndian.Uint32(r[40+4*i:]))]
}

// RawSize is the number of octets of the file.
func (r Record) RawSize() int64 { return int64(r.u64(0)) }

// Size is RFC822.SIZE.
func (r Record) Size() int64 { return int64(r.u64(8)) }

// Envelope is the ENVELOPE as it goes out, RFC 9051 section 7.5.2.
func (r Record) Envelope() []byte { return r.blob(0) }

// BodyStructure is the BODYSTRUCTURE as it goes out.
func (r Record) BodyStructure() []byte { return r.blob(1) }

// Body is BODY, the structure without extension data, as it goes out.
func (r Record) Body() []byte { return r.blob(2) }

// SentDate is the Date field as Message.SentDate has it.
func (r Record) SentDate() (time.Time, bool) {
	if r.bits()&recordDate == 0 {
		return time.Time{}, false
	}
	zone := int32(binary.LittleEndian.Uint32(r[24:]))
	return time.Unix(int64(r.u64(16)), 0).In(time.FixedZone("", int(zone))), true
}

// NoDay is what SentDay gives for a message without a date that can be read.
const NoDay = math.MinInt32

// SentDay is the day of the Date field, in the zone that the field names, in
// days since 1970; NoDay if there is none.
func (r Record) SentDay() int32 {
	if r.bits()&recordDate == 0 {
		return NoDay
	}
	return Day(int64(r.u64(16)) + int64(int32(binary.LittleEndian.Uint32(r[24:]))))
}

// Day is the number of days since 1970 of a moment in seconds since 1970.
func Day(seconds int64) int32 {
	day := seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return int32(day)
}

// Message gives the message that the record was made of. Its Parts have what
// finding, decoding and searching them needs; ENVELOPE and structure are only
// there as answers. ok is false if the record is damaged in a way that
// ParseRecord does not see.
func (r Record) Message() (m *Message, ok bool) {
	m = &Message{RawSize: r.RawSize(), Size: r.Size(), HasNUL: r.bits()&recordNUL != 0, record: r}
	return m, m.readParts(r.blob(3))
}
