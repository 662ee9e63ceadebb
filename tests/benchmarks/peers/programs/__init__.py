"""What runs in the peers' own processes and environments, around the engine of plain/. The files of systems/ start them."""
