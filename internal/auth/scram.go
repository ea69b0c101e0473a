package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
)

func sha1New() hash.Hash { return sha1.New() }

// {SCRAM-SHA-256} holds what RFC 5802 section 3 has the server store, in
// Dovecot's form: iterations, salt, StoredKey, ServerKey, the last three in base64.
func parseSCRAM(text string) (scram.StoredCredentials, error) {
	var c scram.StoredCredentials
	f := strings.Split(text, ",")
	if len(f) != 4 {
		return c, errors.New("not iterations,salt,StoredKey,ServerKey")
	}
	n, err := strconv.Atoi(f[0])
	salt, err1 := base64.StdEncoding.DecodeString(f[1])
	stored, err2 := base64.StdEncoding.DecodeString(f[2])
	server, err3 := base64.StdEncoding.DecodeString(f[3])
	if err := errors.Join(err, err1, err2, err3); err != nil {
		return c, err
	}
	if n < 1 || n > maxPBKDF2Rounds || len(salt) == 0 || len(salt) > maxSCRAMSalt || len(stored) != sha256.Size || len(server) != sha256.Size {
		return c, errors.New("iterations, salt or keys are out of bounds")
	}
	c.Salt, c.Iters = string(salt), n
	c.StoredKey, c.ServerKey = stored, server
	return c, nil
}

// scramKeys gives StoredKey and ServerKey.
func scramKeys(given string, salt []byte, iterations int) (stored, server []byte, err error) {
	if prepared, err := stringprep.SASLprep.Prepare(given); err == nil {
		given = prepared
	}
	salted, err := pbkdf2.Key(sha256.New, given, salt, iterations, sha256.Size)
	if err != nil {
		return nil, nil, err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	sum := sha256.Sum256(mac("Client Key"))
	return sum[:], mac("Server Key"), nil
}

func matchSCRAM(text, given string) (bool, error) {
	c, err := parseSCRAM(text)
	if err != nil {
		return false, err
	}
	stored, _, err := scramKeys(given, []byte(c.Salt), c.Iters)
	return err == nil && subtle.ConstantTimeCompare(stored, c.StoredKey) == 1, err
}

func makeSCRAM(given string) (string, error) {
	s := salt()
	stored, server, err := scramKeys(given, s, scramIterations)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%d,%s,%s,%s", scramIterations, b64(s), b64(stored), b64(server)), err
}

// maxSCRAMSalt bounds what goes into a challenge, in octets.
const maxSCRAMSalt = 1024

// scramUse is what a users file tells about SCRAM: how many can use it, and
// what their credentials look like from outside.
type scramUse struct {
	can, cannot int
	secret      [sha256.Size]byte // makes the decoys
	look        scramLook         // the commonest
	looks       map[scramLook]int
}

// scramLook is what the first challenge shows of stored credentials.
type scramLook struct{ iterations, salt int }

func (u *scramUse) add(p password) {
	c, err := parseSCRAM(p.text)
	if p.scheme != "SCRAM-SHA-256" || err != nil {
		u.cannot++
		return
	}
	if u.can++; u.can == 1 {
		// The first user's secret, and nothing made anew at each start: salts that
		// change with a restart would tell who is no user.
		u.secret = sha256.Sum256(append([]byte("decoys:"), c.ServerKey...))
		u.looks = make(map[scramLook]int)
	}
	l := scramLook{c.Iters, len(c.Salt)}
	if u.looks[l]++; u.looks[l] > u.looks[u.look] || u.can == 1 {
		u.look = l
	}
}

// decoy looks like a user's credentials to who does not know the password: the
// same ones each time for a name.
func (u *scramUse) decoy(name string) scram.StoredCredentials {
	part := func(what string) []byte {
		h := hmac.New(sha256.New, u.secret[:])
		h.Write([]byte(what + name))
		return h.Sum(nil)
	}
	var c scram.StoredCredentials
	salt := part("salt:")
	for len(salt) < u.look.salt {
		salt = append(salt, part("salt:"+string(salt))...)
	}
	c.Salt, c.Iters = string(salt[:u.look.salt]), u.look.iterations
	c.StoredKey, c.ServerKey = part("stored:"), part("server:")
	return c
}
