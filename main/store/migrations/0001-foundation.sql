-- Conversations are trees: a message knows its parent, a conversation its active leaf.
CREATE TABLE conversations (
  id             TEXT PRIMARY KEY,
  title          TEXT NOT NULL,
  model_id       TEXT,
  system_prompt  TEXT NOT NULL DEFAULT '',
  sampler        TEXT NOT NULL,              -- JSON, contract/chat.ts samplerSchema
  context_size   INTEGER,
  active_leaf_id TEXT,
  created_at     INTEGER NOT NULL,
  updated_at     INTEGER NOT NULL,
  deleted_at     INTEGER
) STRICT;
CREATE INDEX conversations_by_update ON conversations (deleted_at, updated_at DESC);

CREATE TABLE messages (
  row             INTEGER PRIMARY KEY,        -- stable number for the full-text index
  id              TEXT NOT NULL UNIQUE,
  conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  parent_id       TEXT REFERENCES messages (id) ON DELETE CASCADE,
  role            TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
  text            TEXT NOT NULL,
  status          TEXT NOT NULL CHECK (status IN ('complete', 'answering', 'stopped', 'failed', 'interrupted')),
  error           TEXT,                       -- JSON, contract/errors.ts errorDataSchema
  model_name      TEXT,
  stats           TEXT,                       -- JSON, contract/chat.ts answerStatsSchema
  created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_by_conversation ON messages (conversation_id, created_at);
CREATE INDEX messages_by_parent ON messages (parent_id);
CREATE INDEX messages_unfinished ON messages (status) WHERE status = 'answering';

CREATE VIRTUAL TABLE messages_fts USING fts5 (
  text, content = 'messages', content_rowid = 'row', tokenize = "trigram case_sensitive 0"
);
CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages BEGIN
  INSERT INTO messages_fts (rowid, text) VALUES (new.row, new.text);
END;
CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.row, old.text);
END;
CREATE TRIGGER messages_fts_update AFTER UPDATE OF text ON messages BEGIN
  INSERT INTO messages_fts (messages_fts, rowid, text) VALUES ('delete', old.row, old.text);
  INSERT INTO messages_fts (rowid, text) VALUES (new.row, new.text);
END;

CREATE TABLE models (
  id         TEXT PRIMARY KEY,
  path       TEXT NOT NULL UNIQUE,            -- real path of the file or folder; it stays where it is
  inspection TEXT NOT NULL,                   -- JSON, main/engine/protocol.ts inspectionSchema
  size_bytes INTEGER NOT NULL,
  modified_at INTEGER NOT NULL,               -- mtime in ms when it was inspected
  is_demo    INTEGER NOT NULL DEFAULT 0,
  added_at   INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;

CREATE TABLE jobs (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  title      TEXT NOT NULL,
  status     TEXT NOT NULL
             CHECK (status IN ('queued', 'running', 'paused', 'interrupted', 'done', 'failed', 'cancelled')),
  input      TEXT NOT NULL,                   -- JSON, what the job was asked to do
  checkpoint TEXT,                            -- JSON, where it can go on from
  done       REAL NOT NULL DEFAULT 0,
  total      REAL,
  unit       TEXT NOT NULL DEFAULT 'items' CHECK (unit IN ('items', 'bytes')),
  note       TEXT NOT NULL DEFAULT '',
  error      TEXT,                            -- JSON, contract/errors.ts errorDataSchema
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_status ON jobs (status, created_at);

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,                     -- a key of contract/settings.ts settingsSchema
  value TEXT NOT NULL                         -- JSON
) STRICT;

CREATE TABLE grants (
  id          TEXT PRIMARY KEY,
  path        TEXT NOT NULL,                  -- real path
  is_folder   INTEGER NOT NULL,
  size_bytes  INTEGER NOT NULL,
  modified_at INTEGER NOT NULL,
  session_id  TEXT NOT NULL,                  -- a grant ends with the session that made it
  created_at  INTEGER NOT NULL
) STRICT;

-- Pictures and clips with their captions. The media files stay where they are.
CREATE TABLE caption_sets (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE TABLE captions (
  id          TEXT PRIMARY KEY,
  set_id      TEXT NOT NULL REFERENCES caption_sets (id) ON DELETE CASCADE,
  path        TEXT NOT NULL,
  media       TEXT NOT NULL CHECK (media IN ('image', 'video')),
  position    INTEGER NOT NULL,
  status      TEXT NOT NULL
              CHECK (status IN ('waiting', 'running', 'done', 'edited', 'locked', 'failed')),
  text        TEXT NOT NULL DEFAULT '',
  model_name  TEXT,
  settings    TEXT,                           -- JSON: prompt, seed and the rest, enough to repeat it
  error       TEXT,                           -- JSON
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  UNIQUE (set_id, path)
) STRICT;
CREATE TABLE caption_segments (
  caption_id    TEXT NOT NULL REFERENCES captions (id) ON DELETE CASCADE,
  start_seconds REAL NOT NULL,
  end_seconds   REAL NOT NULL CHECK (end_seconds >= start_seconds),
  text          TEXT NOT NULL,
  PRIMARY KEY (caption_id, start_seconds)
) STRICT, WITHOUT ROWID;

-- Sounds that were made. The samples are files beside the database; a variation knows its parent.
CREATE TABLE audio_takes (
  id             TEXT PRIMARY KEY,
  parent_id      TEXT REFERENCES audio_takes (id) ON DELETE SET NULL,
  name           TEXT NOT NULL,
  file_name      TEXT NOT NULL UNIQUE,
  model_name     TEXT NOT NULL,
  prompt         TEXT NOT NULL,
  seed           INTEGER NOT NULL,
  settings       TEXT NOT NULL,               -- JSON: all that is needed to make it again
  seconds        REAL NOT NULL,
  sample_rate_hz INTEGER NOT NULL,
  channels       INTEGER NOT NULL,
  is_starred     INTEGER NOT NULL DEFAULT 0,
  created_at     INTEGER NOT NULL,
  deleted_at     INTEGER
) STRICT;
CREATE INDEX audio_takes_by_parent ON audio_takes (parent_id);
