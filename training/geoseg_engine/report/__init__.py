"""What people read: HTML reports, and charts as SVG."""
