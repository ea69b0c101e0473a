package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// series is the rounds of one side, in seconds.
type series struct {
	CPU    []float64            `json:"cpu_seconds"`
	Wall   []float64            `json:"wall_seconds"`
	Values map[string][]float64 `json:"values,omitempty"`
}

func (s *series) add(got sample) {
	s.CPU = append(s.CPU, got.cpu.Seconds())
	s.Wall = append(s.Wall, got.wall.Seconds())
	for k, v := range got.values {
		if s.Values == nil {
			s.Values = map[string][]float64{}
		}
		s.Values[k] = append(s.Values[k], v)
	}
}

// result is one work's rounds on all sides.
type result struct {
	Work      string             `json:"work"`
	Title     string             `json:"title"`
	Messages  int                `json:"messages"`
	Sides     map[string]*series `json:"sides"`
	FloorName string             `json:"floor_name,omitempty"`
	Floor     series             `json:"floor"`
	Answer    string             `json:"answer,omitempty"`
	bounds    bounds
}

// add takes a round. What a side answers has to be what all others answered.
func (r *result) add(side string, got sample) error {
	if r.Sides[side] == nil {
		r.Sides[side] = &series{}
	}
	if len(r.Sides) == 1 && len(r.Sides[side].CPU) == 0 {
		r.Answer = got.answer
	}
	if got.answer != r.Answer {
		return fmt.Errorf("%s answers %q where others answered %q", side, got.answer, r.Answer)
	}
	r.Sides[side].add(got)
	return nil
}

func (s *series) cpu() float64 {
	if s == nil {
		return math.NaN()
	}
	return median(s.CPU)
}

func (s *series) wall() float64 {
	if s == nil {
		return math.NaN()
	}
	return median(s.Wall)
}

func (s *series) value(key string) float64 {
	if s == nil {
		return math.NaN()
	}
	return median(s.Values[key])
}

// verdict judges the row of the first table: the worse of both Dovecots counts.
func (r *result) verdict() verdict {
	p, d, b := r.Sides[postroomSide.name], r.Sides[dovecotSide.name], r.Sides[bestSide.name]
	v := worse(judge(ratio(p.cpu(), d.cpu()), r.bounds.cpu), judge(ratio(p.cpu(), b.cpu()), r.bounds.cpu))
	v = worse(v, judge(ratio(p.wall(), d.wall()), r.bounds.wall))
	v = worse(v, judge(ratio(p.wall(), b.wall()), r.bounds.wall))
	v = worse(v, judge(ratio(p.cpu(), r.Floor.cpu()), r.bounds.floor))
	return worse(v, judge(p.wall(), r.bounds.most.Seconds()))
}

// bound says in words what the row is judged by.
func (b bounds) String() string {
	var s []string
	if b.cpu > 0 {
		s = append(s, fmt.Sprintf("%g CPU", b.cpu))
	}
	if b.wall > 0 {
		s = append(s, fmt.Sprintf("%g wall", b.wall))
	}
	if b.floor > 0 {
		s = append(s, fmt.Sprintf("%g floors", b.floor))
	}
	if b.most > 0 {
		s = append(s, b.most.String())
	}
	return strings.Join(s, ", ")
}

// costs is the row of the first table.
func (r *result) costs() []string {
	p, d, b := r.Sides[postroomSide.name], r.Sides[dovecotSide.name], r.Sides[bestSide.name]
	multiple := ""
	if r.FloorName != "" {
		multiple = fmt.Sprintf("%s %s, %s", num(ratio(p.cpu(), r.Floor.cpu())), r.FloorName, millis(r.Floor.cpu()))
	}
	return []string{
		r.Title, count(r.Messages), millis(p.cpu()), millis(p.wall()),
		num(ratio(p.cpu(), d.cpu())) + " / " + num(ratio(p.cpu(), b.cpu())),
		num(ratio(p.wall(), d.wall())) + " / " + num(ratio(p.wall(), b.wall())),
		multiple, r.bounds.String(), string(r.verdict()),
	}
}

// lines are the rows as progress shows them.
func (r *result) lines() []string {
	if len(r.bounds.figures) == 0 {
		return []string{r.Work + " | " + strings.Join(r.costs()[1:], " | ")}
	}
	var out []string
	for _, f := range r.bounds.figures {
		out = append(out, strings.Join(r.figure(f), " | "))
	}
	return out
}

// figure is a row of the second table.
func (r *result) figure(f figure) []string {
	var cells = []string{f.title, count(r.Messages), f.unit}
	for _, sd := range allSides {
		cells = append(cells, num(r.Sides[sd.name].value(f.key)))
	}
	p := r.Sides[postroomSide.name].value(f.key)
	switch {
	case f.most > 0:
		return append(cells, "at most "+num(f.most), string(judge(p, f.most)))
	case f.ratioLeast > 0:
		d := ratio(p, r.Sides[dovecotSide.name].value(f.key))
		b := ratio(p, r.Sides[bestSide.name].value(f.key))
		return append(cells, fmt.Sprintf("%g times (is %s / %s)", f.ratioLeast, num(d), num(b)),
			string(worse(judgeLeast(d, f.ratioLeast), judgeLeast(b, f.ratioLeast))))
	}
	return append(cells, "", "")
}

// writeTables prints all results in Markdown.
func writeTables(w io.Writer, m machine, results []*result) {
	fmt.Fprintf(w, "%s\n", m)
	fmt.Fprintln(w, "\nServer CPU and wall time are medians; ratios are Postroom's by Dovecot's with its defaults / at its best for Maildir.")
	head(w, "work", "messages", "CPU", "wall", "CPU ratio", "wall ratio", "multiple of the floor", "bound", "met")
	for _, r := range results {
		if len(r.bounds.figures) == 0 {
			row(w, r.costs())
		}
	}
	headed := false
	for _, r := range results {
		for _, f := range r.bounds.figures {
			if !headed {
				head(w, "what", "messages", "unit", "Postroom", "Dovecot", "Dovecot at its best", "bound", "met")
				headed = true
			}
			row(w, r.figure(f))
		}
	}
}

func head(w io.Writer, cells ...string) {
	fmt.Fprintln(w)
	row(w, cells)
	fmt.Fprintln(w, strings.Repeat("| --- ", len(cells))+"|")
}

func row(w io.Writer, cells []string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }

// writeJSON prints the same with every round.
func writeJSON(w io.Writer, m machine, results []*result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(struct {
		Machine machine   `json:"machine"`
		Results []*result `json:"results"`
	}{m, results})
}

// num shows three digits that mean something.
func num(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func millis(seconds float64) string {
	if math.IsNaN(seconds) {
		return "–"
	}
	return num(seconds*1e3) + " ms"
}

// count writes a number with commas.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// date is how days are written.
func date(t time.Time) string { return t.Format("2006-01-02") }
