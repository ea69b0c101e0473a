package webmail

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"postroom/internal/sessions"
)

// proxies are the networks of reverse proxies whose word counts.
type proxies []netip.Prefix

// trust tells whether an address is a proxy's.
func (p proxies) trust(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsValid() && slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// origin is where a request comes from.
type origin struct {
	addr   netip.Addr // of the client, as far as proxies that are trusted tell
	https  bool       // the client's connection is TLS
	secret bool       // a password may be sent over it: TLS, or both ends are on this machine
}

// maxForwarded bounds the steps that are followed through proxies.
const maxForwarded = 32

// origin tells where a request comes from. X-Forwarded-For is read from its end, the trusted proxies' part of it only,
// for all before that is whatever the client wrote.
func (p proxies) origin(r *http.Request) origin {
	peer := remoteOf(r.RemoteAddr)
	o := origin{addr: peer, https: r.TLS != nil}
	if !p.trust(peer) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		here := peer.IsLoopback() && local != nil && sessions.AddrOf(local).IsLoopback()
		// A proxy on this machine that nobody named makes all the world look local.
		o.secret = o.https || here && !forwarded(r)
		return o
	}
	steps := listOf(r.Header.Values("X-Forwarded-For"))
	for i := len(steps) - 1; i >= 0 && len(steps)-i <= maxForwarded && p.trust(o.addr); i-- {
		a := remoteOf(steps[i])
		if !a.IsValid() {
			break
		}
		o.addr = a
	}
	if said := listOf(r.Header.Values("X-Forwarded-Proto")); len(said) > 0 {
		o.https = strings.EqualFold(said[len(said)-1], "https")
	}
	o.secret = o.https || o.addr.IsLoopback()
	return o
}

// forwarded tells whether some proxy has a word to say.
func forwarded(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return true
		}
	}
	return false
}

// listOf takes the values of a field that is a list apart.
func listOf(values []string) (out []string) {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			out = append(out, strings.TrimSpace(part))
		}
	}
	return out
}

// remoteOf reads an address, with or without a port; invalid if it is none.
func remoteOf(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
