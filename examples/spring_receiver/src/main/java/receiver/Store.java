package receiver;

import org.springframework.jdbc.core.simple.JdbcClient;
import org.springframework.stereotype.Repository;

/** What is kept. The database decides what is new and what is newer: asked first and written afterwards, two
 *  requests at the same time would both be right. */
@Repository
class Store {
    private final JdbcClient database;

    Store(JdbcClient database) {
        this.database = database;
    }

    /** Adds to a list, once for each identity, whatever else differs. */
    void add(String feed, String identity, Long shownAt, String payload) {
        database.sql("INSERT INTO entry (feed, identity, shown_at, payload) VALUES (?, ?, ?, ?)"
                        + " ON CONFLICT (feed, identity) DO NOTHING")
                .params(feed, identity, shownAt, payload)
                .update();
    }

    /** Takes the place of an older state. */
    void become(String feed, String scope, long at, String payload) {
        database.sql("INSERT INTO state (feed, scope, at, payload) VALUES (?, ?, ?, ?)"
                        + " ON CONFLICT (feed, scope) DO UPDATE SET at = excluded.at, payload = excluded.payload"
                        + " WHERE excluded.at > state.at")
                .params(feed, scope, at, payload)
                .update();
    }
}
