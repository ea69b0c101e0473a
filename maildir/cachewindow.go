package maildir

import (
	"os"
	"sync"

	"postroom/internal/message"
)

const (
	smallWindow = 8 << 10
	largeWindow = 256 << 10
)

var windows = sync.Pool{New: func() any { b := make([]byte, largeWindow); return &b }}

// window is what was read of a cache: records are mostly asked for in the order in which they
// stand there, so one read brings many. It is not for concurrent use.
type window struct {
	file *os.File
	off  int64   // of data in the file
	data []byte  // in hold, but for a record that is larger
	hold *[]byte // from windows; nil when nothing was read yet
	next int     // octets to read next
}

// record reads the record at off. It is valid until the next call.
func (w *window) record(file *os.File, seed uint32, off int64, uid uint32, key cacheKey) (message.Record, bool) {
	b := w.at(file, off, cachedHead)
	n, ok := cachedSize(b)
	if ok && len(b) < n {
		b = w.at(file, off, n)
	}
	return decodeCached(b, seed, uid, key)
}

// at gives what is at off: at least n octets, fewer where the file ends.
func (w *window) at(file *os.File, off int64, n int) []byte {
	skip := off - w.off
	if w.file == file && skip >= 0 && skip+int64(n) <= int64(len(w.data)) {
		return w.data[skip:]
	}
	if w.hold == nil {
		w.hold = windows.Get().(*[]byte)
		w.next = smallWindow
	} else if w.file == file && skip >= 0 && skip <= int64(len(w.data))+smallWindow {
		w.next = min(4*w.next, largeWindow) // one after another
	} else {
		w.next = smallWindow
	}
	buf := (*w.hold)[:w.next]
	if n > largeWindow {
		buf = make([]byte, n)
	} else if n > len(buf) {
		buf = (*w.hold)[:largeWindow]
	}
	got, _ := file.ReadAt(buf, off) // what is missing is seen by its sum
	w.file, w.off, w.data = file, off, buf[:got]
	return w.data
}

// release gives the buffer back.
func (w *window) release() {
	if w.hold != nil {
		windows.Put(w.hold)
	}
	*w = window{}
}
