package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// access is what the extra fields of a line say about who may log in at all,
// with the meaning they have in Dovecot's passdb.
type access struct {
	closed string         // the field that lets nobody in, "" if none does
	fields []string       // the fields that name networks
	nets   []netip.Prefix // where a login may come from, if fields is not empty
	local  bool           // also from where there is no address
}

// passdbFields are the passdb fields that have a meaning here, or restrict nothing.
var passdbFields = []string{"allow_nets", "allow_real_nets", "nologin", "fail", "nodelay", "reason", "original_user", "k5principals"}

// limitingFields are prefixes of the userdb fields that limit what a user can do and have no meaning here.
var limitingFields = []string{"userdb_quota", "userdb_acl", "userdb_proxy", "userdb_deny", "userdb_noauthenticate", "userdb_allow_nets", "userdb_nologin"}

// parseAccess reads the eighth field of a line.
func parseAccess(extra string) (access, error) {
	var a access
	for f := range strings.FieldsSeq(extra) {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "nologin", "fail":
			// As in Dovecot it is enough that the field is there, whatever its value.
			a.closed = key
		case "allow_nets", "allow_real_nets":
			// Without proxies in between both are about the same address, and both must allow it.
			nets, local, err := parseNets(value)
			if err != nil {
				return a, fmt.Errorf("%s: %w", key, err)
			}
			if len(a.fields) > 0 {
				nets, local = intersect(a.nets, nets), local && a.local
			}
			a.fields, a.nets, a.local = append(a.fields, key), nets, local
		}
	}
	return a, nil
}

// parseNets reads addresses and networks, divided by commas, and the word "local".
func parseNets(list string) (nets []netip.Prefix, local bool, err error) {
	for _, text := range strings.Split(list, ",") {
		switch {
		case text == "":
			continue
		case text == "local":
			local = true
			continue
		}
		p, perr := netip.ParsePrefix(text)
		if perr != nil {
			addr, aerr := netip.ParseAddr(text)
			if aerr != nil || addr.Zone() != "" {
				return nil, false, fmt.Errorf("%.64q is neither an address nor a network such as 192.0.2.0/24", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		nets = append(nets, p.Masked())
	}
	return nets, local, nil
}

// intersect gives what is in both lists: of two networks that overlap one holds the other.
func intersect(a, b []netip.Prefix) (out []netip.Prefix) {
	for _, p := range a {
		for _, q := range b {
			switch {
			case !p.Overlaps(q):
			case p.Bits() > q.Bits():
				out = append(out, p)
			default:
				out = append(out, q)
			}
		}
	}
	return out
}

// refuses tells why a login from there is refused, "" if it is not.
func (a access) refuses(from netip.Addr) string {
	switch {
	case a.closed != "":
		return a.closed + " is set"
	case len(a.fields) == 0:
		return ""
	case !from.IsValid() && a.local:
		return ""
	}
	from = from.Unmap().WithZone("")
	if slices.ContainsFunc(a.nets, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return ""
	}
	return "the address is not in " + strings.Join(a.fields, " and ")
}

// foreign lists the fields of a line that may restrict a user elsewhere and
// that nothing here looks at: all of passdb that is not known, and some of userdb.
func foreign(extra string) (out []string) {
	for f := range strings.FieldsSeq(extra) {
		key, _, _ := strings.Cut(f, "=")
		restricts := !slices.Contains(passdbFields, key) && key != groupsField
		if strings.HasPrefix(key, "userdb_") && key != groupsField {
			restricts = slices.ContainsFunc(limitingFields, func(p string) bool { return strings.HasPrefix(key, p) })
		}
		if restricts {
			out = append(out, key)
		}
	}
	return out
}
