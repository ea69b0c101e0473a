package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// benchTree makes a tree with n messages in cur/ of INBOX.
func benchTree(b *testing.B, n int) string {
	dir := filepath.Join(b.TempDir(), "Maildir")
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(b, os.MkdirAll(dir+"/"+sub, 0o700))
	}
	for i := range n {
		name := fmt.Sprintf("%s/cur/%d.M%dP4433.vm.example,S=8601,W=8730:2,S", dir, 1795466777+i/3, i*7919%1000000)
		must(b, os.WriteFile(name, nil, 0o600))
	}
	return dir
}

func benchOpen(b *testing.B, dir string, before func()) {
	b.ReportAllocs()
	var cpu int64
	defer func() { b.ReportMetric(float64(cpu)/float64(b.N)/1e6, "cpu-ms/op") }()
	for b.Loop() {
		b.StopTimer()
		before()
		s := NewStore(Options{Logger: discard})
		tree, err := s.OpenTree(dir, TreeOptions{})
		must(b, err)
		var r0, r1 syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r0)
		b.StartTimer()
		f, err := tree.Open(b.Context(), Inbox)
		must(b, err)
		b.StopTimer()
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r1)
		cpu += r1.Utime.Nano() + r1.Stime.Nano() - r0.Utime.Nano() - r0.Stime.Nano()
		f.Close()
		tree.Close()
		s.Close()
		b.StartTimer()
	}
}

// BenchmarkOpenCold opens a folder that nobody has served yet.
func BenchmarkOpenCold(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := benchTree(b, n)
			benchOpen(b, dir, func() {
				for _, name := range []string{uidlistName, indexName, counterName} {
					_ = os.Remove(dir + "/" + name)
				}
			})
		})
	}
}

// BenchmarkOpenListed opens a folder that has a uid list and no index.
func BenchmarkOpenListed(b *testing.B) {
	dir := benchTree(b, 10_000)
	benchOpen(b, dir, func() {
		_ = os.Remove(dir + "/" + indexName)
		_ = os.Remove(dir + "/" + counterName)
	})
}

// BenchmarkOpenWarm opens a folder from its index.
func BenchmarkOpenWarm(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := benchTree(b, n)
			benchOpen(b, dir, func() {})
		})
	}
}
