package webmail

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"postroom/internal/account"
)

// settingsFile is the user's own file of account.OwnWeb with his preferences.
const settingsFile = "settings.toml"

// preferences are what a user has chosen.
type preferences struct {
	Language string `toml:"language"`  // tag; "" for the browser's
	Zone     string `toml:"time_zone"` // of the IANA data base; "" for the server's
	PageSize int    `toml:"page_size"` // messages on a page
	Sort     string `toml:"sort"`      // of lists: one of sortNames
	Threads  bool   `toml:"threads"`   // lists show conversations
}

var defaultPreferences = preferences{PageSize: 50}

// pageSizes are on offer.
var pageSizes = []int{25, 50, 100, 200}

// preferences reads the user's file. What cannot be read there is as if it were not: mail must be legible all the same.
func (n *session) preferences() preferences {
	p := defaultPreferences
	data, _, err := n.user.OwnFiles(account.OwnWeb).Read(settingsFile)
	if err != nil {
		if !errors.Is(err, account.ErrNoFile) {
			n.srv.log.Warn("web: settings cannot be read", "user", n.user.Name(), "error", err)
		}
		return p
	}
	if _, err := toml.Decode(string(data), &p); err != nil {
		n.srv.log.Warn("web: settings cannot be understood", "user", n.user.Name(), "error", err)
		return defaultPreferences
	}
	if p.PageSize < 1 || p.PageSize > pageSizes[len(pageSizes)-1] {
		p.PageSize = defaultPreferences.PageSize
	}
	p.Sort = sortNamed(p.Sort).Name
	return p
}

// maxZone bounds the name of a time zone, in octets.
const maxZone = 64

// settingsData is the page of settings.
type settingsData struct {
	preferences
	Languages []*texts
	PageSizes []int
	Zones     []string
}

// commonZones are suggested where no script can ask the browser for all of them.
var commonZones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Vienna", "Europe/Zurich", "Europe/Prague", "Europe/Kyiv",
	"America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Sao_Paulo",
	"Asia/Kolkata", "Asia/Shanghai", "Asia/Tokyo", "Africa/Johannesburg", "Australia/Sydney", "Pacific/Auckland",
}

func settingsPage(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.page(w, r, view{Name: "settings", Title: "settings.title", Pane: "list", Data: settingsData{
		preferences: n.preferences(), Languages: n.srv.texts.languages, PageSizes: pageSizes, Zones: commonZones,
	}})
}

func saveSettings(w http.ResponseWriter, r *http.Request, n *session) error {
	p := n.preferences()
	p.Language, p.Zone = r.PostFormValue("language"), strings.TrimSpace(r.PostFormValue("zone"))
	if p.Language != "" && n.srv.texts.named(p.Language) == nil {
		return fail(http.StatusUnprocessableEntity, "settings.badlanguage")
	}
	if len(p.Zone) > maxZone {
		return fail(http.StatusUnprocessableEntity, "settings.badzone")
	}
	if _, err := time.LoadLocation(p.Zone); err != nil || p.Zone == "Local" {
		return fail(http.StatusUnprocessableEntity, "settings.badzone")
	}
	var err error
	if p.PageSize, err = strconv.Atoi(r.PostFormValue("page")); err != nil || p.PageSize < 1 || p.PageSize > pageSizes[len(pageSizes)-1] {
		return fail(http.StatusUnprocessableEntity, "settings.badpage")
	}
	if err := n.savePreferences(r, p); err != nil {
		return err
	}
	n.say(n.locale(r).T("settings.saved"))
	return seeOther(w, r, "/settings")
}

// savePreferences writes the user's file; keys in it that are not ours are kept.
func (n *session) savePreferences(r *http.Request, p preferences) error {
	return n.user.OwnFiles(account.OwnWeb).Edit(r.Context(), settingsFile, func(old []byte) ([]byte, error) {
		all := make(map[string]any)
		if _, err := toml.Decode(string(old), &all); err != nil {
			all = make(map[string]any) // nobody could read it, so nothing is lost
		}
		var own bytes.Buffer
		if err := toml.NewEncoder(&own).Encode(p); err != nil {
			return nil, err
		}
		if _, err := toml.Decode(own.String(), &all); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		err := toml.NewEncoder(&out).Encode(all)
		return out.Bytes(), err
	})
}
