package auth

import "strings"

// addressesField is the extra field that names the addresses from which a user may send.
const addressesField = "userdb_addresses"

// Addresses lists the addresses from which a user may send, as his line in the users file has them; none if it says nothing of it, or if
// there is no such user. Whether they are addresses is not looked at.
func (s *Service) Addresses(name string) []string {
	e, ok := s.current().Lookup(name)
	if !ok {
		return nil
	}
	var out []string
	for f := range strings.FieldsSeq(e.Extra) {
		if list, ok := strings.CutPrefix(f, addressesField+"="); ok {
			for a := range strings.SplitSeq(list, ",") {
				if a != "" {
					out = append(out, a)
				}
			}
		}
	}
	return out
}
