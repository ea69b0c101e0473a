package auth

import (
	"maps"
	"slices"
	"strings"
)

// maxWarnings bounds what one users file can put into the log.
const maxWarnings = 20

// warn logs what an administrator should know about a users file that was read.
func (s *Service) warn(f *File) {
	s.warnSCRAM(f)
	type use struct{ users, line int }
	seen := make(map[string]use)
	for i, line := range f.lines {
		name, _, _ := strings.Cut(line, ":")
		if at, known := f.byName[name]; !known || at != i {
			continue
		}
		for _, field := range foreign(extraOf(line)) {
			if _, there := seen[field]; !there {
				if len(seen) == maxWarnings {
					continue
				}
				seen[field] = use{line: i + 1}
			}
			seen[field] = use{seen[field].users + 1, seen[field].line}
		}
	}
	for _, field := range slices.Sorted(maps.Keys(seen)) {
		s.opt.Logger.Warn("users file: a field that may restrict a user is not understood and does nothing",
			"field", field, "users", seen[field].users, "file", f.path, "line", seen[field].line)
	}
}

// warnSCRAM counts who cannot use SCRAM where others can.
func (s *Service) warnSCRAM(f *File) {
	listed := len(s.opt.Mechanisms) > 0
	if listed && !slices.ContainsFunc(s.opt.Mechanisms, func(m string) bool { return strings.HasPrefix(m, "SCRAM-") }) {
		return
	}
	counts := []any{"can", f.scram.can, "cannot", f.scram.cannot, "file", f.path}
	switch {
	case listed && f.scram.can == 0 && f.scram.cannot > 0:
		s.opt.Logger.Warn("SCRAM is among the mechanisms and not on offer: no user has a {SCRAM-SHA-256} password", counts...)
	case listed && f.scram.cannot > 0:
		s.opt.Logger.Warn("SCRAM is on offer, and fails for users without a {SCRAM-SHA-256} password", counts...)
	case f.scram.can > 0 && f.scram.cannot > 0:
		s.opt.Logger.Warn("SCRAM is not on offer: not all users have a {SCRAM-SHA-256} password; auth.mechanisms can offer it even so", counts...)
	}
}
