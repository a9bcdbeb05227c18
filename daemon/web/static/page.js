// The page follows what happens: after every event, and after every reconnect, the state is fetched anew.
