"""What people see of a change: bounds that attacks keep to, and how alike two pictures look."""
