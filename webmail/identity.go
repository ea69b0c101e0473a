package webmail

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"postroom/internal/account"
	"postroom/internal/compose"
	"postroom/internal/message"
)

// identitiesFile is the user's own file with the names and signatures of his addresses.
const identitiesFile = "identities.toml"

// Bounds of what an identity has, in octets.
const (
	maxIdentityName = 200
	maxSignature    = 4000
)

// identity is an address from which the user may send, and how he signs.
type identity struct {
	Addr      string `toml:"-"`
	Name      string `toml:"name"`
	Signature string `toml:"signature"`
}

func (i identity) address() compose.Address { return compose.Address{Name: i.Name, Addr: i.Addr} }

// String is the identity as it stands in From.
func (i identity) String() string { return i.address().String() }

// identities are those that the administrator allows, the first is the default. What the file says of other addresses counts for nothing.
func (n *session) identities() []identity {
	if n.srv.opt.Addresses == nil {
		return nil
	}
	saved := n.savedIdentities()
	var out []identity
	for _, addr := range n.srv.opt.Addresses(n.user.Name()) {
		addr, err := compose.CheckAddr(addr)
		if err != nil {
			n.srv.log.Warn("web: a user's address is none", "user", n.user.Name(), "error", err)
			continue
		}
		id := saved[addr]
		id.Addr = addr
		out = append(out, id)
	}
	return out
}

func (n *session) savedIdentities() map[string]identity {
	saved := make(map[string]identity)
	data, _, err := n.user.OwnFiles(account.OwnWeb).Read(identitiesFile)
	if err == nil {
		_, err = toml.Decode(string(data), &saved)
	}
	if err != nil && !errors.Is(err, account.ErrNoFile) {
		n.srv.log.Warn("web: identities cannot be read", "user", n.user.Name(), "error", err)
		return nil
	}
	return saved
}

// own are the addresses of the identities.
func (n *session) own() []compose.Address {
	var out []compose.Address
	for _, i := range n.identities() {
		out = append(out, i.address())
	}
	return out
}

// identity is the one of an address, the first one for none; errFrom if the user may not use it.
func (n *session) identity(addr string) (identity, error) {
	all := n.identities()
	for i, id := range all {
		if strings.EqualFold(id.Addr, addr) || addr == "" && i == 0 {
			return id, nil
		}
	}
	if addr == "" {
		return identity{}, nil // a draft needs none
	}
	return identity{}, errFrom
}

var errFrom = fail(http.StatusForbidden, "identity.foreign")

func identitiesPage(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.page(w, r, view{Name: "identities", Title: "identity.title", Data: n.identities(), Pane: "list"})
}

func saveIdentities(w http.ResponseWriter, r *http.Request, n *session) error {
	addrs, names, signatures := r.PostForm["addr"], r.PostForm["name"], r.PostForm["signature"]
	if len(names) != len(addrs) || len(signatures) != len(addrs) {
		return fail(http.StatusBadRequest, "error.form")
	}
	own := n.identities()
	changed := make(map[string]identity)
	for i, addr := range addrs {
		if !slices.ContainsFunc(own, func(o identity) bool { return o.Addr == addr }) {
			return errFrom
		}
		name := strings.TrimSpace(message.Printable(names[i]))
		signature := strings.TrimRight(strings.ReplaceAll(signatures[i], "\r\n", "\n"), "\n ")
		if len(name) > maxIdentityName || len(signature) > maxSignature {
			return fail(http.StatusUnprocessableEntity, "error.large")
		}
		changed[addr] = identity{Name: name, Signature: signature}
	}
	err := n.user.OwnFiles(account.OwnWeb).Edit(r.Context(), identitiesFile, func(old []byte) ([]byte, error) {
		all := make(map[string]identity) // also of addresses that may be allowed again one day
		if _, err := toml.Decode(string(old), &all); err != nil {
			all = make(map[string]identity) // nobody could read it, so nothing is lost
		}
		for addr, id := range changed {
			all[addr] = id
		}
		var out bytes.Buffer
		err := toml.NewEncoder(&out).Encode(all)
		return out.Bytes(), err
	})
	if err != nil {
		return err
	}
	n.say(n.locale(r).T("settings.saved"))
	return seeOther(w, r, "/identities")
}
