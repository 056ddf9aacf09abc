"""Collection and replay as LightningDataModules."""
