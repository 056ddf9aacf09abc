"""Sets of photographs and scans: downloaded by torchvision, or files of your own."""
