package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var schema string

// change is a new state of one attribute or member of a room, or, without a name, the end of all of them.
type change struct {
	feed, room, name string
	version          int64
	removed, all     bool
	payload          []byte
}

// The database decides which is newer, with the row locked: read first and written afterwards, two requests at the
// same time would let the older one win. Of a state and its removal with one version the removal wins.
const newerWins = `
	INSERT INTO state VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (feed, room, name) DO UPDATE
	SET version = excluded.version, removed = excluded.removed, payload = excluded.payload
	WHERE excluded.version > state.version OR (excluded.version = state.version AND excluded.removed)`

const endsAll = `
	INSERT INTO ended VALUES ($1, $2, $3)
	ON CONFLICT (feed, room) DO UPDATE SET version = greatest(ended.version, excluded.version)`

type store struct{ pool *pgxpool.Pool }

func openStore(ctx context.Context, url string) (*store, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, schema)
	return &store{pool}, err
}

// apply commits all changes of a request, or none.
func (s *store) apply(ctx context.Context, changes []change) error {
	// In one order everywhere, so that two requests never wait for each other's rows.
	slices.SortStableFunc(changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.room, b.room), cmp.Compare(a.name, b.name))
	})
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch // one way to the database, also for 500 changes
		for _, c := range changes {
			if c.all {
				batch.Queue(endsAll, c.feed, c.room, c.version)
			}
			batch.Queue(newerWins, c.feed, c.room, c.name, c.version, c.removed, c.payload)
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// unkeepable tells whether a value is to blame, which no repetition makes better: a NUL in a name, say.
func unkeepable(err error) bool {
	var found *pgconn.PgError
	return errors.As(err, &found) && found.Code[:2] == "22"
}
