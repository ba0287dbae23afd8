"""What aiokafka's fetcher is made to do: keep records as they are read, heed what brokers answer, and lose nothing beside a damaged batch."""
