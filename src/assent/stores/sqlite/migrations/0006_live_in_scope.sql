-- What a stop looks through is what is live, and most of that is out of its scope: the index tells which, without the
-- rows. By id behind the state it is written at its end, as ids are made; by agent it would be written anywhere.
DROP INDEX action_live;
CREATE INDEX action_live ON action (state, id, agent, environment, tool)
    WHERE state IN ('pending', 'ready', 'executing');
