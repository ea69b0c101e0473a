package main

import (
	"math"
	"testing"
	"time"
)

func TestMedianAndQuantile(t *testing.T) {
	for _, c := range []struct {
		v    []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(c.v); got != c.want {
			t.Errorf("median of %v: %v", c.v, got)
		}
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("nothing has a median")
	}
	v := []float64{}
	for i := range 200 {
		v = append(v, float64(200-i))
	}
	for p, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 0.995: 199, 1: 200} {
		if got := quantile(v, p); got != want {
			t.Errorf("quantile %v: %v, want %v", p, got, want)
		}
	}
	if v[0] != 200 {
		t.Error("the values were sorted in place")
	}
}

func TestJudge(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		value, bound float64
		want         verdict
	}{
		{0.5, 0.5, met}, {0.54, 0.5, nearly}, {0.56, 0.5, missed}, {3, 0, unjudged}, {nan, 1, unjudged},
	} {
		if got := judge(c.value, c.bound); got != c.want {
			t.Errorf("%v by %v: %q, want %q", c.value, c.bound, got, c.want)
		}
	}
	for v, want := range map[float64]verdict{25: met, 19: nearly, 10: missed, 0: unjudged} {
		if got := judgeLeast(v, 20); got != want {
			t.Errorf("at least 20, is %v: %q, want %q", v, got, want)
		}
	}
	if worse(met, missed) != missed || worse(nearly, unjudged) != nearly || worse(met, nearly) != nearly {
		t.Error("worse")
	}
	if !math.IsNaN(ratio(1, 0)) || !math.IsNaN(ratio(nan, 1)) || ratio(1, 4) != 0.25 {
		t.Error("ratio")
	}
}

// TestVerdict: the worse of both Dovecots and of all bounds counts.
func TestVerdict(t *testing.T) {
	r := &result{Work: "w", Title: "work", Messages: 10000, FloorName: "rename", Sides: map[string]*series{},
		bounds: bounds{cpu: 0.5, floor: 1.5}}
	cpu := map[string][]time.Duration{
		postroomSide.name: {40, 10, 20}, dovecotSide.name: {50, 60, 40}, bestSide.name: {38, 39, 40},
	}
	for side, ms := range cpu {
		for _, v := range ms {
			if err := r.add(side, sample{cpu: v * time.Millisecond, wall: v * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.Floor.add(sample{cpu: 16 * time.Millisecond})
	// 20/50 is met, 20/39 and 20/16 are too, the first within 10 %.
	if got := r.verdict(); got != nearly {
		t.Errorf("%q", got)
	}
	r.bounds.floor = 1.1
	if got := r.verdict(); got != missed {
		t.Errorf("with a floor of 1.1: %q", got)
	}
	want := []string{"work", "10,000", "20.0 ms", "20.0 ms", "0.400 / 0.513", "0.400 / 0.513", "1.25 rename, 16.0 ms", "0.5 CPU, 1.1 floors", "no"}
	for i, cell := range r.costs() {
		if cell != want[i] {
			t.Errorf("cell %d: %q, want %q", i, cell, want[i])
		}
	}
}

// TestAnswersDiffer: a side that answers something else fails the work.
func TestAnswersDiffer(t *testing.T) {
	r := &result{Sides: map[string]*series{}}
	if err := r.add("A", sample{answer: "found 3"}); err != nil {
		t.Fatal(err)
	}
	if err := r.add("B", sample{answer: "found 2"}); err == nil {
		t.Error("B's answer passes")
	}
	if err := r.add("A", sample{answer: "found 2"}); err == nil {
		t.Error("A's second answer passes")
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{2: "2", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
