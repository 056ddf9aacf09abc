"""Global functions of MLflow and W&B that a project calls: they log into its run, and begin or end no other."""
