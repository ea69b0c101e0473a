package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// aclForest makes trees with ten folders each, some of which have an ACL file.
func aclForest(b *testing.B, trees int) []string {
	b.Helper()
	top := b.TempDir()
	roots := make([]string, trees)
	for i := range roots {
		roots[i] = fmt.Sprintf("%s/%02d/user%d/Maildir", top, i%100, i)
		for f := range 10 {
			must(b, os.MkdirAll(fmt.Sprintf("%s/.Folder%d", roots[i], f), 0o700))
		}
		if i%2 == 0 {
			put(b, roots[i]+"/.Folder5/dovecot-acl", "user=bob lr\n")
		}
	}
	return roots
}

// BenchmarkACLWatch is the first scan of 10,000 trees with 100,000 folders, 5,000 of which have an ACL file.
func BenchmarkACLWatch(b *testing.B) {
	roots := aclForest(b, 10000)
	for _, how := range []struct {
		name string
		opt  Options
	}{{"watched", Options{}}, {"polled", Options{NoWatch: true}}} {
		b.Run(how.name, func(b *testing.B) {
			s := testStore(b, how.opt)
			var cpu time.Duration
			for b.Loop() {
				b.StopTimer()
				found := 0
				heap, before := heapNow(), cpuTime()
				b.StartTimer()
				w := s.newACLWatch(func(ACLChange) { found++ }, aclTiming{time.Hour, time.Hour})
				w.start()
				w.Set(roots)
				must(b, w.Ready(b.Context()))
				b.StopTimer()
				cpu += cpuTime() - before
				if found != len(roots)/2 {
					b.Fatalf("%d files", found)
				}
				b.ReportMetric(float64(heapNow()-heap)/float64(11*len(roots)), "heap-B/directory")
				w.mu.Lock()
				b.ReportMetric(float64(w.watches), "watches")
				w.mu.Unlock()
				w.Close()
				b.StartTimer()
			}
			b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkACLWatchTold is the time from a change to its being told, among 1,000 watched trees.
func BenchmarkACLWatchTold(b *testing.B) {
	roots := aclForest(b, 1000)
	s := testStore(b, Options{})
	told := make(chan struct{}, len(roots))
	w := s.newACLWatch(func(ACLChange) { told <- struct{}{} }, never)
	w.start()
	defer w.Close()
	w.Set(roots)
	must(b, w.Ready(b.Context()))
	for len(told) > 0 {
		<-told
	}
	path := filepath.Join(roots[7], ".Folder3")
	for n := 0; b.Loop(); n++ {
		must(b, os.WriteFile(path+"/new", fmt.Append(nil, n), 0o600))
		must(b, os.Rename(path+"/new", path+"/dovecot-acl"))
		<-told
	}
}
