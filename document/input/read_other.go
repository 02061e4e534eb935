//go:build !unix

package input

import "os"

// openNoFollow opens path for reading. Without O_NOFOLLOW a link that is put there between the look and the opening is
// followed; cells are not run on such systems, documents are only checked.
func openNoFollow(path string) (*os.File, error) {
	if isLink(path) {
		return nil, errLink
	}
	return os.Open(path)
}
