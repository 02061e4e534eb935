//go:build linux && (amd64 || arm64)

package process_test

import (
	"testing"

	"cellos.io/cellos/backend/contract"
	"cellos.io/cellos/backend/process"
	"cellos.io/cellos/plan"
)

func TestContract(t *testing.T) {
	contract.Test(t, contract.Subject{Backend: process.Backend{}, Plan: plan.For})
}
