package message

// Sketch tells of most texts that a message's Subject or its addresses do not hold them, without a look at those fields.
// It has a bit, found by hashing, for each run of three octets that is in them, in the form in which texts are
// compared: superimposed coding. A text of which a run's bit is not set is not there; of others nothing is said. With
// Subjects of some forty letters that is right for all but one in a hundred of texts of six letters that are not there.
type Sketch [5]uint32

const (
	sketchRun   = 3 // octets
	sketchWords = 2 // of the Subject; the others are the addresses'
)

// sketchArea is the part of a Sketch that one field, or several, have.
type sketchArea struct{ from, to int }

var (
	subjectArea = sketchArea{0, sketchWords}
	addressArea = sketchArea{sketchWords, len(Sketch{})}
)

// areaOf gives a field's; that of fields that are in no Sketch is empty.
func areaOf(name string) sketchArea {
	switch lower(name) {
	case "subject":
		return subjectArea
	case "from", "to", "cc", "bcc":
		return addressArea
	}
	return sketchArea{}
}

// sketched are the fields that a Sketch is made of.
var sketched = []*FieldSet{
	NewFieldSet([]string{"subject"}), NewFieldSet([]string{"from"}), NewFieldSet([]string{"to"}),
	NewFieldSet([]string{"cc"}), NewFieldSet([]string{"bcc"}),
}

// addRuns notes the runs of folded text.
func addRuns(words []uint32, text []byte) {
	most := uint64(len(words)) * 32
	for ; len(text) >= sketchRun; text = text[1:] {
		h := (uint32(text[0]) | uint32(text[1])<<8 | uint32(text[2])<<16) * 0x9e3779b1
		bit := uint32(uint64(h) * most >> 32)
		words[bit/32] |= 1 << (bit % 32)
	}
}

// Lacks tells that the field of the set, which is one, does not hold the needle in the message that the sketch is of.
func (k *Sketch) Lacks(s *FieldSet, n *Needle) bool {
	for i := s.area.from; i < s.area.to; i++ {
		if n.sketch[i]&^k[i] != 0 {
			return true
		}
	}
	return false
}

// anyRun stands for a needle where a finder only notes the runs of what it is given: as long as a run is.
var anyRun = &Needle{folded: make([]byte, sketchRun)}

// Sketch makes that of the message.
func (r Record) Sketch() Sketch {
	var k Sketch
	var f *finder // made where a field needs it
	for _, s := range sketched {
		name, words := s.names[0], k[s.area.from:s.area.to]
		if !r.Has(s) { // it may hold anything
			for i := range words {
				words[i] = ^uint32(0)
			}
			continue
		}
		r.eachKept(s, func(field []byte, plain bool) bool {
			if plain {
				var folded [plainValue]byte
				addRuns(words, foldPlain(&folded, field[len(name)+1:]))
				return true
			}
			if f == nil {
				f = newFinder(anyRun)
			}
			f.runs = words
			_ = f.fields(func(g func([]byte, bool) bool) error { eachLine(field, g); return nil }, name) // memory does not fail
			return true
		})
	}
	if f != nil {
		f.runs = nil
		f.free()
	}
	return k
}
