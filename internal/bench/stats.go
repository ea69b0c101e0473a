package main

import (
	"math"
	"slices"
)

// median of the values; the mean of the two in the middle if they are even in
// number, NaN if there are none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// quantile is the smallest value that at least the share p (0 to 1) of the values
// does not exceed (nearest rank); NaN if there are none.
func quantile(v []float64, p float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	i := int(math.Ceil(p*float64(len(s)))) - 1
	return s[min(max(i, 0), len(s)-1)]
}

// ratio is a/b, NaN where that says nothing.
func ratio(a, b float64) float64 {
	if b <= 0 || math.IsNaN(a) || math.IsNaN(b) {
		return math.NaN()
	}
	return a / b
}

// verdict is how a value compares with an upper bound. Figures are judged
// within 10 %.
type verdict string

const (
	met      verdict = "yes"
	nearly   verdict = "within 10 %"
	missed   verdict = "no"
	unjudged verdict = "" // no bound, or no value
)

// judge compares value with an upper bound; a bound of 0 is none.
func judge(value, bound float64) verdict {
	switch {
	case bound == 0 || math.IsNaN(value):
		return unjudged
	case value <= bound:
		return met
	case value <= 1.1*bound:
		return nearly
	}
	return missed
}

// judgeLeast compares value with a lower bound.
func judgeLeast(value, bound float64) verdict {
	if math.IsNaN(value) || value <= 0 {
		return unjudged
	}
	return judge(1/value, 1/bound)
}

// worse of two verdicts.
func worse(a, b verdict) verdict {
	order := []verdict{unjudged, met, nearly, missed}
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}
