package auth

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// DefaultScheme is that of new passwords.
const DefaultScheme = "ARGON2ID"

// Costs of new passwords, and the largest that are verified: a users file must
// not be able to stop the server.
const (
	maxArgonMemory  = 1 << 20 // KiB
	maxArgonTime    = 32
	maxArgonThreads = 64
	maxBcryptCost   = 16
	maxSHARounds    = 5_000_000
	maxPBKDF2Rounds = 5_000_000
	scramIterations = 4096 * 4
	saltOctets      = 16
)

// password is a stored password: {SCHEME}text.
type password struct {
	scheme string // in capitals
	text   string
}

// schemes are what can be verified; make is nil where none are made.
var schemes = map[string]struct {
	match func(text, password string) (bool, error)
	make  func(password string) (string, error)
}{
	"ARGON2ID":      {matchCrypt, makeArgon2},
	"BLF-CRYPT":     {matchCrypt, makeBcrypt},
	"SHA512-CRYPT":  {matchCrypt, makeSHACrypt(shacrypt.VariantSHA512)},
	"SHA256-CRYPT":  {matchCrypt, makeSHACrypt(shacrypt.VariantSHA256)},
	"CRYPT":         {matchCrypt, nil},
	"PLAIN":         {matchPlain, func(p string) (string, error) { return p, nil }},
	"SSHA512":       {matchSalted(sha512.New, sha512.Size), makeSalted(sha512.New)},
	"SSHA256":       {matchSalted(sha256.New, sha256.Size), makeSalted(sha256.New)},
	"PBKDF2":        {matchPBKDF2, makePBKDF2},
	"SCRAM-SHA-256": {matchSCRAM, makeSCRAM},
}

// parsePassword reads "{SCHEME}text"; without a scheme it is crypt(3)'s, as in
// Dovecot's passwd-file.
func parsePassword(s string) (password, error) {
	p := password{scheme: "CRYPT", text: s}
	if rest, ok := strings.CutPrefix(s, "{"); ok {
		scheme, text, ok := strings.Cut(rest, "}")
		if !ok {
			return p, errors.New("the password's scheme has no closing brace")
		}
		p = password{strings.ToUpper(scheme), text}
	}
	if _, ok := schemes[p.scheme]; !ok {
		return p, fmt.Errorf("password scheme {%.32s} is not known", p.scheme)
	}
	if p.text == "" {
		return p, errors.New("the password is empty")
	}
	return p, nil
}

// wellFormed sees whether a stored password could be verified, without the cost of doing so.
func (p password) wellFormed() error {
	switch p.scheme {
	case "PLAIN":
		return nil
	case "SCRAM-SHA-256":
		_, err := parseSCRAM(p.text)
		return err
	case "SSHA256", "SSHA512":
		_, err := p.matches("") // one hash
		return err
	case "PBKDF2":
		_, _, _, err := parsePBKDF2(p.text)
		return err
	}
	_, err := decodeCrypt(p.text)
	return err
}

func (p password) matches(given string) (bool, error) { return schemes[p.scheme].match(p.text, given) }

// Hash makes a stored password of a scheme.
func Hash(scheme, given string) (string, error) {
	scheme = strings.ToUpper(scheme)
	s, ok := schemes[scheme]
	if !ok || s.make == nil {
		return "", fmt.Errorf("no passwords are made in scheme %q", scheme)
	}
	if given == "" {
		return "", errors.New("the password is empty")
	}
	if len(given) > maxPassword {
		return "", fmt.Errorf("the password is longer than %d octets", maxPassword)
	}
	text, err := s.make(given)
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(text, ":\n\r") {
		return "", errors.New("the users file cannot hold this password in that scheme")
	}
	return "{" + scheme + "}" + text, nil
}

func matchPlain(text, given string) (bool, error) {
	a, b := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1, nil
}

// matchCrypt verifies the $id$ forms that have a bound on their cost.
func matchCrypt(text, given string) (bool, error) {
	d, err := decodeCrypt(text)
	if err != nil {
		return false, err
	}
	const bcryptMax = 72 // octets: all that bcrypt looks at
	if strings.HasPrefix(text, "$2") && len(given) > bcryptMax {
		given = given[:bcryptMax]
	}
	return d.MatchAdvanced(given)
}

// decodeCrypt reads the $id$ forms that have a bound on their cost.
func decodeCrypt(text string) (d algorithm.Digest, err error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"), strings.HasPrefix(text, "$argon2i$"):
		if err := boundArgon2(text); err != nil {
			return nil, err
		}
		return argon2.Decode(text)
	case strings.HasPrefix(text, "$2"):
		fields := strings.Split(text, "$")
		if n, err := strconv.Atoi(fields[min(2, len(fields)-1)]); err != nil || n > maxBcryptCost {
			return nil, errors.New("bcrypt's cost is not a number, or too high")
		}
		return bcrypt.Decode(text)
	case strings.HasPrefix(text, "$5$"), strings.HasPrefix(text, "$6$"):
		if rest, ok := strings.CutPrefix(text[3:], "rounds="); ok {
			rounds, _, _ := strings.Cut(rest, "$")
			if n, err := strconv.Atoi(rounds); err != nil || n > maxSHARounds {
				return nil, errors.New("the rounds are not a number, or too many")
			}
		}
		return shacrypt.Decode(text)
	}
	return nil, errors.New("this form of crypt(3) is not supported")
}

// argon2Form is the only form that is given to the library, which takes costs from other places too.
var argon2Form = regexp.MustCompile(`^\$argon2id?\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$`)

func boundArgon2(text string) error {
	m := argon2Form.FindStringSubmatch(text)
	if m == nil {
		return errors.New("not $argon2id$v=19$m=..,t=..,p=..$salt$digest")
	}
	for i, most := range []int{maxArgonMemory, maxArgonTime, maxArgonThreads} {
		if n, err := strconv.Atoi(m[i+1]); err != nil || n > most {
			return errors.New("argon2's cost is too high")
		}
	}
	return nil
}

func makeArgon2(given string) (string, error) {
	h, err := argon2.New(argon2.WithVariantID(), argon2.WithT(3), argon2.WithM(64<<10), argon2.WithP(1))
	return encode(h, err, given)
}

func makeBcrypt(given string) (string, error) {
	if len(given) > 72 {
		return "", errors.New("bcrypt takes passwords of up to 72 octets")
	}
	h, err := bcrypt.New(bcrypt.WithVariant(bcrypt.VariantStandard), bcrypt.WithIterations(11))
	return encode(h, err, given)
}

func makeSHACrypt(v shacrypt.Variant) func(string) (string, error) {
	return func(given string) (string, error) {
		h, err := shacrypt.New(shacrypt.WithVariant(v), shacrypt.WithIterations(100_000))
		return encode(h, err, given)
	}
}

func encode(h algorithm.Hash, err error, given string) (string, error) {
	if err != nil {
		return "", err
	}
	d, err := h.Hash(given)
	if err != nil {
		return "", err
	}
	return d.Encode(), nil
}

func salt() []byte {
	b := make([]byte, saltOctets)
	rand.Read(b)
	return b
}

func matchSalted(newHash func() hash.Hash, size int) func(text, given string) (bool, error) {
	return func(text, given string) (bool, error) {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw) < size {
			return false, errors.New("not base64 of a digest and its salt")
		}
		h := newHash()
		h.Write([]byte(given))
		h.Write(raw[size:])
		return subtle.ConstantTimeCompare(h.Sum(nil), raw[:size]) == 1, nil
	}
}

func makeSalted(newHash func() hash.Hash) func(string) (string, error) {
	return func(given string) (string, error) {
		h, s := newHash(), salt()
		h.Write([]byte(given))
		h.Write(s)
		return base64.StdEncoding.EncodeToString(append(h.Sum(nil), s...)), nil
	}
}

// matchPBKDF2 verifies Dovecot's form: $1$salt$rounds$hex of HMAC-SHA1.
func matchPBKDF2(text, given string) (bool, error) {
	salt, rounds, want, err := parsePBKDF2(text)
	if err != nil {
		return false, err
	}
	got, err := pbkdf2.Key(sha1New, given, salt, rounds, len(want))
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1, err
}

func parsePBKDF2(text string) (salt []byte, rounds int, digest []byte, err error) {
	f := strings.Split(text, "$")
	if len(f) != 5 || f[0] != "" || f[1] != "1" {
		return nil, 0, nil, errors.New("not $1$salt$rounds$digest")
	}
	rounds, err = strconv.Atoi(f[3])
	digest, herr := hex.DecodeString(f[4])
	if err != nil || herr != nil || rounds < 1 || rounds > maxPBKDF2Rounds || len(digest) == 0 || len(digest) > 64 {
		return nil, 0, nil, errors.New("not $1$salt$rounds$digest, or too many rounds")
	}
	return []byte(f[2]), rounds, digest, nil
}

func makePBKDF2(given string) (string, error) {
	const rounds = 5000 // Dovecot's; a stronger scheme is the default
	s := hex.EncodeToString(salt())[:16]
	key, err := pbkdf2.Key(sha1New, given, []byte(s), rounds, 20)
	return fmt.Sprintf("$1$%s$%d$%x", s, rounds, key), err
}
