package account

import (
	"context"

	"postroom/maildir"
)

// What a check of a tree is asked and tells; the store's types.
type (
	CheckOptions  = maildir.CheckOptions
	CheckProgress = maildir.CheckProgress
	CheckResult   = maildir.CheckResult
	Finding       = maildir.Finding
)

// Check reads a user's whole Maildir and names what is wrong with it. ErrNoFolder if the user has none yet.
func (s *Service) Check(ctx context.Context, user string, opt CheckOptions) (CheckResult, error) {
	path, err := s.Path(user)
	if err != nil {
		return CheckResult{}, err
	}
	tree, err := s.store.OpenTree(path, maildir.TreeOptions{Separator: s.cfg.Separator})
	if err != nil {
		return CheckResult{}, err
	}
	defer tree.Close()
	return tree.Check(ctx, opt)
}
