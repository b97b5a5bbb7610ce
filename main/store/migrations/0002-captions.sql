-- The first form's tables for captions were never written to; these replace them.
DROP TABLE caption_segments;
DROP TABLE captions;
DROP TABLE caption_sets;

-- Pictures and clips with their captions. The media files stay where they are.
CREATE TABLE captions (
  id         TEXT PRIMARY KEY,
  position   INTEGER NOT NULL,                -- the list's order
  path       TEXT NOT NULL,
  folder     TEXT NOT NULL,                   -- relative to what was added
  name       TEXT NOT NULL,
  kind       TEXT NOT NULL CHECK (kind IN ('picture', 'clip')),
  state      TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'edited', 'failed')),
  is_locked  INTEGER NOT NULL DEFAULT 0,
  text       TEXT NOT NULL DEFAULT '',
  segments   TEXT NOT NULL DEFAULT '[]',      -- JSON: start, end, text, frames
  error      TEXT,                            -- JSON
  note       TEXT NOT NULL DEFAULT '',
  model_name TEXT NOT NULL DEFAULT '',
  prompt     TEXT NOT NULL DEFAULT '',
  width      INTEGER,
  height     INTEGER,
  seconds    REAL,
  tags       TEXT NOT NULL DEFAULT '',
  job_id     TEXT,                            -- the batch that it waits in
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX captions_by_path ON captions (path) WHERE deleted_at IS NULL;
CREATE INDEX captions_by_position ON captions (position) WHERE deleted_at IS NULL;
CREATE INDEX captions_by_job ON captions (job_id, position) WHERE job_id IS NOT NULL;

-- What a person did, newest last, so that it can be taken back: how each item was before, and after once it is undone.
CREATE TABLE caption_steps (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  step       TEXT NOT NULL,
  is_undone  INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE caption_step_items (
  step_id    INTEGER NOT NULL REFERENCES caption_steps (id) ON DELETE CASCADE,
  caption_id TEXT NOT NULL REFERENCES captions (id) ON DELETE CASCADE,
  before     TEXT NOT NULL,                   -- JSON
  after      TEXT,                            -- JSON
  PRIMARY KEY (step_id, caption_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX caption_step_items_by_caption ON caption_step_items (caption_id);
