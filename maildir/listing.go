package maildir

import (
	"hash/maphash"
	"unsafe"
)

// listing is what new/ and cur/ were found to hold: the names by base, in little
// memory and without a pointer for each. Not for concurrent use.
type listing struct {
	seed    maphash.Seed
	names   []byte
	files   []listed
	slots   []uint64             // hash<<32 | index in files + 1; open addressing
	several map[string]*presence // bases with other than one name
}

// listed is a base and, mostly, its one name.
type listed struct {
	ino     uint64
	off     uint32
	nameLen uint8
	baseLen uint8
	dir     subdir
	odd     bool   // listing.several tells its names
	uid     uint32 // given to it by who reads the list; 0 at first
}

// newListing makes a listing with room for a directory of so many octets, which file
// systems give as a rough measure of its names.
func newListing(octets int64) *listing {
	const perName, most = 80, 64 << 20
	octets = min(max(octets, 0), most)
	l := &listing{seed: maphash.MakeSeed(), several: make(map[string]*presence)}
	size := minSlots
	for int64(size) < octets/perName*2 {
		size *= 2
	}
	l.slots = make([]uint64, size)
	l.names = make([]byte, 0, octets)
	l.files = make([]listed, 0, octets/perName)
	return l
}

// view is b as a string that must not outlive it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (l *listing) nameOf(f *listed) []byte { return l.names[f.off : f.off+uint32(f.nameLen)] }
func (l *listing) baseOf(f *listed) []byte { return l.names[f.off : f.off+uint32(f.baseLen)] }

// find gives the file of a base, nil if there is none.
func (l *listing) find(base string) *listed {
	f, _ := l.search(base)
	if f == nil || f.odd && len(l.several[base].places) == 0 {
		return nil
	}
	return f
}

// search gives the entry of a base, or the slot where it would stand.
func (l *listing) search(base string) (f *listed, slot uint32) {
	h := uint32(maphash.String(l.seed, base))
	mask := uint32(len(l.slots) - 1)
	i := h & mask
	for ; l.slots[i] != slotEmpty; i = (i + 1) & mask {
		if uint32(l.slots[i]>>32) != h {
			continue
		}
		if f := &l.files[uint32(l.slots[i])-1]; view(l.baseOf(f)) == base {
			return f, i
		}
	}
	return nil, i
}

func (l *listing) grow() {
	old := l.slots
	l.slots = make([]uint64, 2*len(old))
	mask := uint32(len(l.slots) - 1)
	for _, s := range old {
		if s == slotEmpty {
			continue
		}
		i := uint32(s>>32) & mask
		for l.slots[i] != slotEmpty {
			i = (i + 1) & mask
		}
		l.slots[i] = s
	}
}

// add notes a name that was read. name may be reused by the caller.
func (l *listing) add(dir subdir, name []byte, ino uint64) {
	base := baseOf(view(name))
	f, slot := l.search(base)
	if f != nil {
		l.set(place{dir, string(name)}, true)
		return
	}
	if len(l.files)*4 >= len(l.slots)*3 {
		l.grow()
		_, slot = l.search(base)
	}
	l.files = append(l.files, listed{
		ino: ino, off: uint32(len(l.names)), nameLen: uint8(len(name)), baseLen: uint8(len(base)), dir: dir,
	})
	l.names = append(l.names, name...)
	h := uint32(maphash.String(l.seed, base))
	l.slots[slot] = uint64(h)<<32 | uint64(len(l.files))
}

// set notes what an event said of a name.
func (l *listing) set(at place, present bool) {
	base := baseOf(at.name)
	f, _ := l.search(base)
	if f == nil {
		if len(at.name) > 255 {
			return
		}
		l.add(at.dir, []byte(at.name), 0)
		if present {
			return
		}
		f, _ = l.search(base) // its other name was not read either: it may be on its way
	}
	if !f.odd {
		if at.dir == f.dir && at.name == view(l.nameOf(f)) == present {
			return
		}
		l.several[string(l.baseOf(f))] = &presence{places: []place{l.placeOf(f)}, ino: f.ino}
		f.odd = true
	}
	l.several[base].set(at, present)
}

// placeOf gives the one place of a file that is not odd.
func (l *listing) placeOf(f *listed) place { return place{f.dir, string(l.nameOf(f))} }

// presenceOf gives all places of a file.
func (l *listing) presenceOf(f *listed) *presence {
	if f.odd {
		return l.several[view(l.baseOf(f))]
	}
	return &presence{places: []place{l.placeOf(f)}, ino: f.ino}
}

// inDoubt gives the bases whose names events have taken away.
func (l *listing) inDoubt() map[string]doubt {
	in := make(map[string]doubt)
	for base, p := range l.several {
		if d, ok := p.doubt(); ok {
			in[base] = d
		}
	}
	return in
}

// each calls do for every base that is there.
func (l *listing) each(do func(f *listed)) {
	for i := range l.files {
		f := &l.files[i]
		if !f.odd || len(l.several[view(l.baseOf(f))].places) > 0 {
			do(f)
		}
	}
}
