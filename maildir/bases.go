package maildir

import "hash/maphash"

// baseIndex finds a UID by base name. It keeps 8 octets a message and some room:
// half of the name's hash and the UID; who asks holds the name against the record.
// It is built when first asked, since an opened folder that nothing happens to needs none.
type baseIndex struct {
	seed  maphash.Seed
	slots []uint64 // hash<<32 | UID; open addressing; nil until built
	used  int      // slots that are not empty
}

const (
	slotEmpty   = 0
	slotRemoved = 1 << 32 // no UID is 0
	minSlots    = 64
)

// build takes all messages of a state.
func (x *baseIndex) build(b *builder) {
	size := minSlots
	for size < b.n*2 {
		size *= 2
	}
	x.seed = maphash.MakeSeed()
	x.slots, x.used = make([]uint64, size), 0
	for _, c := range b.chunks {
		r := c.get()
		for i := range r.recs {
			m := &r.recs[i]
			x.put(x.hash(r.names[m.nameOff:m.nameOff+uint32(m.baseLen)]), m.uid)
		}
	}
}

func (x *baseIndex) built() bool { return x.slots != nil }

func (x *baseIndex) hash(base []byte) uint32 { return uint32(maphash.Bytes(x.seed, base)) }

// put adds a UID under a hash; there is an empty slot.
func (x *baseIndex) put(h uint32, uid uint32) {
	mask := uint32(len(x.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if x.slots[i] == slotEmpty {
			x.used++
		} else if x.slots[i] != slotRemoved {
			continue
		}
		x.slots[i] = uint64(h)<<32 | uint64(uid)
		return
	}
}

// add does nothing before build.
func (x *baseIndex) add(base string, uid uint32) {
	if !x.built() {
		return
	}
	if x.used*4 >= len(x.slots)*3 {
		x.grow()
	}
	x.put(uint32(maphash.String(x.seed, base)), uid)
}

// grow makes room, and removed slots empty.
func (x *baseIndex) grow() {
	live := 0
	for _, s := range x.slots {
		if s != slotEmpty && s != slotRemoved {
			live++
		}
	}
	old := x.slots
	size := len(old)
	if live*2 > size {
		size *= 2
	}
	x.slots, x.used = make([]uint64, size), 0
	for _, s := range old {
		if s != slotEmpty && s != slotRemoved {
			x.put(uint32(s>>32), uint32(s))
		}
	}
}

// remove does nothing before build.
func (x *baseIndex) remove(base string, uid uint32) {
	if !x.built() {
		return
	}
	h := uint32(maphash.String(x.seed, base))
	mask := uint32(len(x.slots) - 1)
	for i := h & mask; x.slots[i] != slotEmpty; i = (i + 1) & mask {
		if x.slots[i] == uint64(h)<<32|uint64(uid) {
			x.slots[i] = slotRemoved
			return
		}
	}
}

// candidates calls each for the UIDs whose base may be this one, until it is true.
func (x *baseIndex) candidates(base string, each func(uid uint32) bool) {
	h := uint32(maphash.String(x.seed, base))
	mask := uint32(len(x.slots) - 1)
	for i := h & mask; x.slots[i] != slotEmpty; i = (i + 1) & mask {
		if s := x.slots[i]; s != slotRemoved && uint32(s>>32) == h && each(uint32(s)) {
			return
		}
	}
}
