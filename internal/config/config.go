// Package config reads the configuration file. It is strict: an unknown key, a
// wrong type or a value that cannot be is an error that names file, line, key
// and what to do.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Config is the whole configuration, defaults filled in.
type Config struct {
	Mail        Mail        `toml:"mail"`
	Sharing     Sharing     `toml:"sharing"`
	Auth        Auth        `toml:"auth"`
	IMAP        IMAP        `toml:"imap"`
	POP3        POP3        `toml:"pop3"`
	Web         Web         `toml:"web"`
	Submission  Submission  `toml:"submission"`
	AddressBook AddressBook `toml:"addressbook"`
	TLS         TLS         `toml:"tls"`
	Process     Process     `toml:"process"`
	Limits      Limits      `toml:"limits"`
	Log         Log         `toml:"log"`

	// File is where it was read from, and text what stood there.
	File string `toml:"-"`
	text string
}

// Where names the place of a key for an error that comes up later, as
// "file:line: key"; the key alone without a file.
func (c *Config) Where(key string) string {
	if c.File == "" {
		return key
	}
	return fmt.Sprintf("%s:%d: %s", c.File, lineOf(c.text, key), key)
}

// Mail says where mail lies.
type Mail struct {
	Root      string `toml:"root"`
	Separator string `toml:"separator"`
	Public    string `toml:"public"`
}

// Sharing says how users see each other's and public mailboxes.
type Sharing struct {
	OtherUsers string `toml:"other_users"`
	Public     string `toml:"public"`
	Anyone     bool   `toml:"anyone"`
}

// Namespaces gives the first parts of the names of other users' and of public mailboxes, without the separator.
func (c *Config) Namespaces() (others, public string) {
	return strings.TrimSuffix(c.Sharing.OtherUsers, c.Mail.Separator), strings.TrimSuffix(c.Sharing.Public, c.Mail.Separator)
}

// Auth says who the users are.
type Auth struct {
	Users      string   `toml:"users"`
	Mechanisms []string `toml:"mechanisms"`
}

// IMAP is the IMAP daemon.
type IMAP struct {
	Listen       []string `toml:"listen"`
	ListenTLS    []string `toml:"listen_tls"`
	LiteralMinus bool     `toml:"literal_minus"`
}

// POP3 is the POP3 daemon.
type POP3 struct {
	Listen     []string `toml:"listen"`
	ListenTLS  []string `toml:"listen_tls"`
	UIDL       string   `toml:"uidl"`
	LoginDelay Duration `toml:"login_delay"`
}

// Web is the web mail.
type Web struct {
	Listen         []string `toml:"listen"`
	ListenTLS      []string `toml:"listen_tls"`
	TrustedProxies []string `toml:"trusted_proxies"`
}

// Proxies gives the networks of the trusted proxies; an address is a network of its own.
func (w Web) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range w.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, aerr := netip.ParseAddr(text)
			if aerr != nil || addr.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a network such as \"192.0.2.0/24\"", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Submission is how mail that is written in the web mail is sent.
type Submission struct {
	Server       string `toml:"server"`
	TLS          string `toml:"tls"`
	User         string `toml:"user"`
	PasswordFile string `toml:"password_file"`
	Sendmail     string `toml:"sendmail"`
	Domain       string `toml:"domain"`
}

// Enabled tells whether mail can be sent.
func (s Submission) Enabled() bool { return s.Server != "" || s.Sendmail != "" }

// AddressBook is what all users of the web mail find contacts in, beside their own.
type AddressBook struct {
	Global string `toml:"global"`
}

// TLS is the certificate of all listeners.
type TLS struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`
	ClientCA    string `toml:"client_ca"`
}

// Process is what the process becomes.
type Process struct {
	User string `toml:"user"`
}

// Account is the name of the user that the process becomes if root starts it.
func (p Process) Account() string { return cmp.Or(p.User, "postroom") }

// Limits bound what clients can take.
type Limits struct {
	Connections           int      `toml:"connections"`
	ConnectionsPerAddress int      `toml:"connections_per_address"`
	ConnectionsPerUser    int      `toml:"connections_per_user"`
	MessageSize           Size     `toml:"message_size"`
	CommandSize           Size     `toml:"command_size"`
	LoginTime             Duration `toml:"login_time"`
	IMAPIdleTime          Duration `toml:"imap_idle_time"`
	POP3IdleTime          Duration `toml:"pop3_idle_time"`
	WebIdleTime           Duration `toml:"web_idle_time"`
	WebSessionTime        Duration `toml:"web_session_time"`
	WriteTime             Duration `toml:"write_time"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"`
}

// Duration is written as "90s", "10m", "1h30m".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration such as \"90s\", \"10m\" or \"1h30m\"", text)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }

// Size is written in octets as "512K", "100M", "1G".
type Size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "KMG")
	shift, known := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30}[string(text[len(digits):])]
	var n int64
	if _, err := fmt.Sscanf(digits+"\n", "%d\n", &n); err != nil || !known || n < 0 || n > 1<<20 && shift > 20 || n > 1<<40 {
		return fmt.Errorf("%q is not a size such as \"512K\", \"100M\" or \"1G\"", text)
	}
	*s = Size(n << shift)
	return nil
}

// Default is the configuration of an empty file.
func Default() Config {
	return Config{
		Mail:       Mail{Root: "/var/mail/{user}/Maildir", Separator: "/"},
		Sharing:    Sharing{OtherUsers: "Other Users", Public: "Public"},
		Auth:       Auth{Users: "/etc/postroom/users"},
		IMAP:       IMAP{Listen: []string{"127.0.0.1:143"}},
		POP3:       POP3{Listen: []string{"127.0.0.1:110"}, UIDL: "dovecot"},
		Submission: Submission{TLS: "starttls"},
		Limits: Limits{
			Connections: 10000, ConnectionsPerAddress: 200, ConnectionsPerUser: 50,
			MessageSize: 100 << 20, CommandSize: 2 << 20,
			LoginTime: Duration(time.Minute), IMAPIdleTime: Duration(30 * time.Minute),
			POP3IdleTime: Duration(10 * time.Minute), WebIdleTime: Duration(30 * time.Minute),
			WebSessionTime: Duration(12 * time.Hour), WriteTime: Duration(2 * time.Minute),
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

// Read reads and checks a configuration file. All that is wrong is in the error.
func Read(path string) (*Config, error) { return read(path, true) }

// ReadForUsers is Read for who is about to make the users file: it need not be there.
func ReadForUsers(path string) (*Config, error) { return read(path, false) }

func read(path string, mustHaveUsers bool) (*Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file; config.toml.example is one to begin with", path)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return parse(path, string(data), mustHaveUsers)
}

// Parse checks the text of a configuration file.
func Parse(path, text string) (*Config, error) { return parse(path, text, true) }

func parse(path, text string, mustHaveUsers bool) (*Config, error) {
	c := Default()
	c.File, c.text = path, text
	md, err := toml.Decode(text, &c)
	if err != nil {
		return nil, located(path, text, err)
	}
	var wrong []error
	for _, key := range md.Undecoded() {
		wrong = append(wrong, fmt.Errorf("%s:%d: %s: there is no such key%s", path, lineOf(text, key.String()), key, suggest(key.String())))
	}
	if len(wrong) == 0 {
		for _, p := range c.check(mustHaveUsers) {
			wrong = append(wrong, fmt.Errorf("%s:%d: %s: %w", path, lineOf(text, p.key), p.key, p.err))
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return &c, nil
}

// typeError is how the decoder, which has no type for this error, says that a value has the wrong type.
var typeError = regexp.MustCompile(`line (\d+) \(last key "(.*)"\): incompatible types: TOML value has type (\w+); destination has type (\w+)`)

// located gives an error of the decoder the form of ours.
func located(path, text string, err error) error {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		if m := typeError.FindStringSubmatch(err.Error()); m != nil {
			kind := map[string]string{"slice": "list", "struct": "table"}
			name := func(s string) string { return cmp.Or(kind[s], s) }
			return fmt.Errorf("%s:%s: %s: a %s stands where a %s is wanted", path, m[1], m[2], name(m[3]), name(m[4]))
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	line := pe.Position.Line
	key := ""
	if pe.LastKey != "" {
		key = pe.LastKey + ": "
	}
	msg := pe.Message
	if msg == "" {
		msg = strings.TrimPrefix(pe.Error(), "toml: ")
		if _, rest, ok := strings.Cut(msg, "): "); ok {
			msg = rest
		}
	}
	return fmt.Errorf("%s:%d: %s%s", path, line, key, msg)
}

// lineOf finds the line where a key is set; that of its table, or 1, if none does.
func lineOf(text, key string) int {
	table, name, ok := strings.Cut(key, ".")
	if !ok {
		table, name = "", key
	}
	at, current := 1, ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if t, ok := strings.CutPrefix(line, "["); ok {
			current = strings.TrimSpace(strings.Trim(strings.SplitN(t, "#", 2)[0], "[] \t"))
			if current == table || current == key {
				at = i + 1
			}
			continue
		}
		k, _, ok := strings.Cut(line, "=")
		k = strings.Trim(strings.TrimSpace(k), `"'`)
		if ok && (current == table && k == name || current == "" && k == key) {
			return i + 1
		}
	}
	return at
}

// suggest names a key that may have been meant.
func suggest(key string) string {
	name := key[strings.LastIndexByte(key, '.')+1:]
	for _, k := range Keys() {
		known := k[strings.LastIndexByte(k, '.')+1:]
		if known == name && k != key || strings.HasPrefix(k, key) || distance(key, k) <= 2 {
			return fmt.Sprintf("; is %s meant?", k)
		}
	}
	return "; config.toml.example lists them all"
}

// distance is how many letters have to be changed to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// splitAddress checks "host:port".
func splitAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not \"host:port\"", addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: %q is no port", addr, port)
	}
	if host != "" && net.ParseIP(host) == nil && strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q: %q is no host", addr, host)
	}
	return nil
}
