"""What the files of each format say besides their pixels: for people who want to know before they share them."""
