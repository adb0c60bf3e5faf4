"""Who talks: engines that hold a conversation over a leg."""
