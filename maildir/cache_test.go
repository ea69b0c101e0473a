package maildir

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"postroom/internal/message"
	"postroom/internal/message/mailtest"
)

// cacheTree makes a tree of n generated messages; of message i of the folder the text is given.
func cacheTree(t testing.TB, n int) (dir string, texts [][]byte) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "Maildir")
	for _, d := range []string{"cur", "new", "tmp"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o700))
	}
	for i := range n {
		text := mailtest.Message(5, uint64(i))
		texts = append(texts, text)
		put(t, fmt.Sprintf("%s/cur/1000%06d.M%d.host:2,", dir, i, i), string(text))
	}
	return dir, texts
}

func recordOf(t testing.TB, text []byte) message.Record {
	t.Helper()
	m, err := message.Parse(bytes.NewReader(text))
	must(t, err)
	rec, err := message.AppendRecord(nil, m, bytes.NewReader(text))
	must(t, err)
	return rec
}

// checkAnswers reads all messages of a folder, which must be as parsing the texts finds them, and gives how many
// of them the cache had.
func checkAnswers(t testing.TB, f *Folder, texts [][]byte) (hits int) {
	t.Helper()
	rd := f.NewReading(t.Context())
	defer rd.Close()
	snap := f.Snapshot()
	if snap.Len() != len(texts) {
		t.Fatalf("%d messages, not %d", snap.Len(), len(texts))
	}
	w := snap.Walk(f.Snapshot())
	for i, text := range texts {
		w.Next()
		if day, known := w.SentDay(); known && day != recordOf(t, text).SentDay() {
			t.Fatalf("message %d is known as sent on %d", i, day)
		}
		rd.Seek(snap, i)
		rec, err := rd.Record()
		must(t, err)
		if !rd.opened {
			hits++
		}
		want := recordOf(t, text)
		if !bytes.Equal(rec, want) {
			t.Fatalf("message %d:\n%q\nnot\n%q", i, rec, want)
		}
		if day, err := rd.SentDay(); err != nil || day != want.SentDay() {
			t.Fatalf("message %d: sent on %d, not %d: %v", i, day, want.SentDay(), err)
		}
		for _, field := range []string{"subject", "from", "to"} {
			set := message.NewFieldSet([]string{field})
			for _, word := range []string{"a", "re: ", "example", "nowhere"} {
				n := message.NewNeedle(word)
				if found, _ := want.SearchHeader(set, n); found && rd.Lacks(set, n) {
					t.Fatalf("message %d: %q is not said to be in %s", i, word, field)
				}
			}
		}
		if size, err := rd.Size(); err != nil || size != want.Size() {
			t.Fatalf("message %d: %d octets, not %d: %v", i, size, want.Size(), err)
		}
	}
	return hits
}

// served opens the tree's INBOX in a store of its own, as another process would.
func served(t *testing.T, dir string, do func(f *Folder)) {
	t.Helper()
	s := NewStore(Options{Logger: discard, NoWatch: true})
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{})
	must(t, err)
	defer tree.Close()
	f, err := tree.Open(t.Context(), Inbox)
	must(t, err)
	defer f.Close()
	do(f)
}

func TestCacheAnswers(t *testing.T) {
	dir, texts := cacheTree(t, 700)
	served(t, dir, func(f *Folder) {
		if hits := checkAnswers(t, f, texts); hits != 0 {
			t.Errorf("%d messages came from a cache that was not there", hits)
		}
		if hits := checkAnswers(t, f, texts); hits != len(texts) {
			t.Errorf("the cache had %d of %d messages", hits, len(texts))
		}
	})
	served(t, dir, func(f *Folder) {
		if hits := checkAnswers(t, f, texts); hits != len(texts) {
			t.Errorf("after a restart the cache had %d of %d messages", hits, len(texts))
		}
		perMessage := 0
		for _, p := range f.cache.pages {
			perMessage += cap(p.entries) * binary.Size(cacheEntry{})
		}
		if perMessage /= len(texts); perMessage > 48 {
			t.Errorf("the cache holds %d octets of memory a message", perMessage)
		}
	})
}

// TestCacheDamaged cuts and overwrites the file at every octet: answers stay right.
func TestCacheDamaged(t *testing.T) {
	dir, texts := cacheTree(t, 3)
	for i := range texts {
		texts[i] = []byte(fmt.Sprintf("Subject: %d\n\nx\n", i))
		put(t, fmt.Sprintf("%s/cur/1000%06d.M%d.host:2,", dir, i, i), string(texts[i]))
	}
	file := filepath.Join(dir, cacheName)
	served(t, dir, func(f *Folder) { checkAnswers(t, f, texts) })
	whole, err := os.ReadFile(file)
	must(t, err)
	step := 1
	if testing.Short() {
		step = 17
	}
	r := rand.New(rand.NewPCG(1, 2))
	s := NewStore(Options{Logger: discard, NoWatch: true})
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{})
	must(t, err)
	defer tree.Close()
	f, err := tree.Open(t.Context(), Inbox)
	must(t, err)
	defer f.Close()
	for n := 0; n < len(whole); n += step {
		damaged := bytes.Clone(whole)
		damaged[n] ^= byte(1 + r.IntN(255))
		for _, b := range [][]byte{whole[:n], damaged, append(bytes.Clone(whole), damaged...)} {
			f.cache.close() // as at the first use
			put(t, file, string(b))
			checkAnswers(t, f, texts)
			put(t, file, string(b)) // as long as it is in use
			checkAnswers(t, f, texts)
			if hits := checkAnswers(t, f, texts); hits != len(texts) {
				t.Fatalf("octet %d of %d: the cache has but %d messages again", n, len(whole), hits)
			}
		}
	}
	noise := make([]byte, len(whole))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	put(t, file, string(noise))
	checkAnswers(t, f, texts)
	f.cache.close()
	put(t, file, string(noise))
	checkAnswers(t, f, texts)
	must(t, os.Remove(file))
	checkAnswers(t, f, texts)
	if hits := checkAnswers(t, f, texts); hits != len(texts) {
		t.Fatalf("after the file was removed the cache has but %d messages", hits)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("no file was made again")
	}
}

// TestCacheHeadCut: a head that lacks but zeros at its end is not whole. By its salt one in 256 ends with one.
func TestCacheHeadCut(t *testing.T) {
	dir, texts := cacheTree(t, 3)
	file := filepath.Join(dir, cacheName)
	s := NewStore(Options{Logger: discard, NoWatch: true})
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{})
	must(t, err)
	defer tree.Close()
	f := open(t, tree, Inbox)
	defer f.Close()
	snap := f.Snapshot()
	h := cacheHeader{uidValidity: snap.uidValidity, guid: snap.guid}
	for _, zeros := range []int{1, 2} {
		var head []byte
		for salt := uint64(0); ; salt++ {
			binary.LittleEndian.PutUint64(h.salt[:], salt)
			if head = h.encode(); bytes.HasSuffix(head, make([]byte, zeros)) {
				break
			}
		}
		head = head[:cacheHead-zeros]
		f.cache.close() // as at the first use
		put(t, file, string(head))
		checkAnswers(t, f, texts)
		if hits := checkAnswers(t, f, texts); hits != len(texts) {
			t.Errorf("%d octets cut off: the cache has but %d messages again", zeros, hits)
		}
		put(t, file, string(head)) // as long as it is in use
		checkAnswers(t, f, texts)
		if hits := checkAnswers(t, f, texts); hits != len(texts) {
			t.Errorf("%d octets cut off in use: the cache has but %d messages again", zeros, hits)
		}
		served(t, dir, func(f *Folder) {
			if hits := checkAnswers(t, f, texts); hits != len(texts) {
				t.Errorf("%d octets cut off: after a restart the cache has but %d messages", zeros, hits)
			}
		})
	}
}

// TestCacheNotAFile: what cannot be a cache, or cannot be written, only costs time.
func TestCacheNotAFile(t *testing.T) {
	dir, texts := cacheTree(t, 5)
	file := filepath.Join(dir, cacheName)
	must(t, os.MkdirAll(filepath.Join(file, "x"), 0o700))
	served(t, dir, func(f *Folder) {
		checkAnswers(t, f, texts)
		checkAnswers(t, f, texts)
	})
	must(t, os.RemoveAll(file))
	now := time.Now()
	s := NewStore(Options{Logger: discard, NoWatch: true, Clock: func() time.Time { return now }})
	defer s.Close()
	tree, err := s.OpenTree(dir, TreeOptions{})
	must(t, err)
	defer tree.Close()
	f := open(t, tree, Inbox)
	defer f.Close()
	f.cache.refresh(f.Snapshot())
	good := f.cache.file
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	f.cache.file = full // each write fails with ENOSPC
	checkAnswers(t, f, texts)
	if !f.cache.said {
		t.Fatal("no write failed")
	}
	f.cache.file = good
	full.Close()
	checkAnswers(t, f, texts)
	if hits := checkAnswers(t, f, texts); hits != 0 {
		t.Errorf("%d messages are in a cache that rests", hits)
	}
	now = now.Add(2 * cacheRest)
	checkAnswers(t, f, texts)
	if hits := checkAnswers(t, f, texts); hits != len(texts) {
		t.Errorf("the cache has but %d messages after its rest", hits)
	}
}

// TestCacheTwoProcesses: two append at the same time; each profits from the other.
func TestCacheTwoProcesses(t *testing.T) {
	dir, texts := cacheTree(t, 400)
	served(t, dir, func(a *Folder) {
		served(t, dir, func(b *Folder) {
			var wg sync.WaitGroup
			for i := range 8 {
				f := []*Folder{a, b}[i%2]
				wg.Go(func() {
					rd := f.NewReading(t.Context())
					defer rd.Close()
					snap := f.Snapshot()
					for j := range 200 {
						k := (j*7 + i*50) % len(texts)
						rd.Seek(snap, k)
						rec, err := rd.Record()
						if err != nil || !bytes.Equal(rec, recordOf(t, texts[k])) {
							t.Errorf("message %d: %v", k, err)
							return
						}
						if j%20 == 0 {
							f.cache.append(&rd.batch, snap)
						}
					}
				})
			}
			wg.Wait()
			checkAnswers(t, a, texts)
			if hits := checkAnswers(t, b, texts); hits != len(texts) {
				t.Errorf("the cache had %d of %d messages", hits, len(texts))
			}
		})
	})
}

// TestCacheRestored: a file put back under its name is parsed again, though its size is the same.
func TestCacheRestored(t *testing.T) {
	dir, texts := cacheTree(t, 2)
	texts[1] = []byte("Subject: old\n\nx\n")
	name := dir + "/cur/1000000001.M1.host:2,"
	put(t, name, string(texts[1]))
	served(t, dir, func(f *Folder) { checkAnswers(t, f, texts) })
	settle()
	texts[1] = []byte("Subject: new\n\nx\n")
	put(t, dir+"/restored", string(texts[1]))
	must(t, os.Rename(dir+"/restored", name))
	served(t, dir, func(f *Folder) {
		if snap := f.Snapshot(); snap.UID(1) != 2 {
			t.Errorf("the restored message has UID %d", snap.UID(1))
		}
		checkAnswers(t, f, texts)
	})
}

// TestCacheForged: octets in a mail that look like a batch are none, though damage makes a reader come upon them.
func TestCacheForged(t *testing.T) {
	dir, texts := cacheTree(t, 2)
	text := []byte("Subject: the truth\n\nx\n")
	other := []byte("Subject: a lie....\n\nx\n")
	texts[0] = text
	name := dir + "/cur/1000000000.M0.host:2,"
	put(t, name, string(text))
	var key cacheKey
	served(t, dir, func(f *Folder) {
		checkAnswers(t, f, texts)
		c, r := f.Snapshot().at(0)
		key, _ = c.facts[r].key()
	})
	file := filepath.Join(dir, cacheName)
	whole, err := os.ReadFile(file)
	must(t, err)
	salted := func(seed uint32) []byte {
		b := batch{seed: seed}
		_, err := b.add(1, key, func(dst []byte) ([]byte, error) { return append(dst, recordOf(t, other)...), nil })
		must(t, err)
		return b.encode()
	}
	lies := func(forged []byte) bool {
		put(t, file, string(whole[:cacheHead])+"damage"+string(forged))
		lied := false
		served(t, dir, func(f *Folder) {
			rd := f.NewReading(t.Context())
			defer rd.Close()
			rd.Seek(f.Snapshot(), 0)
			rec, err := rd.Record()
			must(t, err)
			lied = bytes.Equal(rec, recordOf(t, other))
		})
		return lied
	}
	var h cacheHeader
	copy(h.salt[:], whole[32:])
	if !lies(salted(h.seed())) {
		t.Fatal("the test does not test: with the salt the batch should count")
	}
	if lies(salted(0)) {
		t.Error("without the salt it counted, too")
	}
}

// TestCacheCompacted: when most of the file is of no use it is written anew, and others notice.
func TestCacheCompacted(t *testing.T) {
	dir, texts := cacheTree(t, 50)
	file := filepath.Join(dir, cacheName)
	served(t, dir, func(f *Folder) {
		checkAnswers(t, f, texts)
		one, err := os.Stat(file)
		must(t, err)
		served(t, dir, func(g *Folder) {
			checkAnswers(t, g, texts)
			last, shrunk := one.Size(), false
			for range 30 {
				rd := g.NewReading(t.Context())
				for i, text := range texts {
					rd.Seek(g.Snapshot(), i)
					m, err := rd.File()
					must(t, err)
					_, err = rd.batch.add(rd.uid, m.key, func(dst []byte) ([]byte, error) { return append(dst, recordOf(t, text)...), nil })
					must(t, err)
				}
				rd.Close()
				now, err := os.Stat(file)
				must(t, err)
				shrunk = shrunk || now.Size() < last && now.Size() <= 2*one.Size()
				last = now.Size()
			}
			checkAnswers(t, g, texts)
			if !shrunk {
				t.Errorf("%d octets; one copy takes %d", last, one.Size())
			}
			if _, err := os.Stat(filepath.Join(dir, cacheTemp)); !errors.Is(err, os.ErrNotExist) {
				t.Error("the temporary file is still there:", err)
			}
		})
		if hits := checkAnswers(t, f, texts); hits != len(texts) {
			t.Errorf("the other process has but %d messages", hits)
		}
	})
}

// TestCacheCompactsDamage: damage does not stay for ever either.
func TestCacheCompactsDamage(t *testing.T) {
	dir, texts := cacheTree(t, 50)
	file := filepath.Join(dir, cacheName)
	served(t, dir, func(f *Folder) { checkAnswers(t, f, texts) })
	whole, err := os.ReadFile(file)
	must(t, err)
	noise := bytes.Repeat([]byte("noise..."), fewOctets/4)
	put(t, file, string(whole[:cacheHead])+string(noise)+string(whole[cacheHead:]))
	served(t, dir, func(f *Folder) {
		if hits := checkAnswers(t, f, texts); hits != len(texts) {
			t.Errorf("behind the noise %d of %d messages were found", hits, len(texts))
		}
	})
	now, err := os.Stat(file)
	must(t, err)
	if now.Size() > int64(len(whole))+4096 {
		t.Errorf("%d octets, of which %d are of use", now.Size(), len(whole))
	}
}

// FuzzCacheFile: no octets behind the head of a cache make it crash or answer wrongly.
func FuzzCacheFile(f *testing.F) {
	text := []byte("Subject: x\n\ny\n")
	h := cacheHeader{uidValidity: 7, guid: "00112233445566778899aabbccddeeff"}
	b := batch{seed: h.seed()}
	key := cacheKey{1, int64(len(text)), 3}
	for uid := range uint32(3) {
		_, _ = b.add(uid+1, key, func(dst []byte) ([]byte, error) { return append(dst, recordOf(f, text)...), nil })
	}
	good := b.encode()
	f.Add(good)
	f.Add(append(bytes.Clone(good[:100]), good...))
	f.Add(append(bytes.Clone(good), good...))
	name := filepath.Join(f.TempDir(), "cache")
	f.Fuzz(func(t *testing.T, octets []byte) {
		must(t, os.WriteFile(name, append(h.encode(), octets...), 0o600))
		file, err := os.Open(name)
		must(t, err)
		defer file.Close()
		var found []cached
		next, junk, err := scanBatches(file, h.seed(), cacheHead, int64(cacheHead+len(octets)), func(c cached) { found = append(found, c) })
		must(t, err)
		if next < cacheHead || junk < 0 || next > int64(cacheHead+len(octets)) {
			t.Fatalf("next %d, junk %d of %d octets", next, junk, len(octets))
		}
		var w window
		defer w.release()
		for _, c := range found {
			rec, ok := w.record(file, h.seed(), c.off, c.uid, c.key)
			if ok && c.key == key && !bytes.Equal(rec, recordOf(t, text)) {
				t.Fatalf("%q", rec)
			}
		}
	})
}

func BenchmarkCacheLookup(b *testing.B) {
	dir, texts := cacheTree(b, 1000)
	s := testStore(b, Options{NoWatch: true})
	f := open(b, testTree(b, s, dir), Inbox)
	defer f.Close()
	checkAnswers(b, f, texts)
	snap := f.Snapshot()
	for _, way := range []struct {
		name string
		step int
	}{{"in order", 1}, {"at random", 389}} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			rd := f.NewReading(b.Context())
			defer rd.Close()
			for i := 0; b.Loop(); i += way.step {
				rd.Seek(snap, i%len(texts))
				if _, err := rd.Record(); err != nil || rd.opened {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("sent day", func(b *testing.B) {
		b.ReportAllocs()
		rd := f.NewReading(b.Context())
		defer rd.Close()
		for i := 0; b.Loop(); i++ {
			rd.Seek(snap, i%len(texts))
			if _, err := rd.SentDay(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parsed", func(b *testing.B) {
		b.ReportAllocs()
		rd := f.NewReading(b.Context())
		defer rd.Close()
		for i := 0; b.Loop(); i++ {
			rd.Seek(snap, i%len(texts))
			m, err := rd.File()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := rd.parse(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestCacheRestoredLive: the same while the folder is open.
func TestCacheRestoredLive(t *testing.T) {
	bothWays(t, func(t *testing.T, opt Options) {
		dir, texts := cacheTree(t, 2)
		texts[1] = []byte("Date: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: old\n\nx\n")
		name := dir + "/cur/1000000001.M1.host:2,"
		put(t, name, string(texts[1]))
		s := testStore(t, opt)
		tree, err := s.OpenTree(dir, TreeOptions{})
		must(t, err)
		defer tree.Close()
		f := open(t, tree, Inbox)
		defer f.Close()
		checkAnswers(t, f, texts)
		checkAnswers(t, f, texts) // the cache tells the day now
		texts[1] = []byte("Date: Tue, 2 Jan 2024 10:00:00 +0000\nSubject: new\n\nx\n")
		put(t, dir+"/restored", string(texts[1]))
		must(t, os.Rename(dir+"/restored", name))
		snap, err := f.Sync(t.Context())
		must(t, err)
		if snap.Len() != 2 || snap.UID(1) != 2 {
			t.Errorf("%d messages", snap.Len())
		}
		checkAnswers(t, f, texts)
		checkAnswers(t, f, texts)
	})
}
