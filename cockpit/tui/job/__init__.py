"""What the job screen says: pure rows and plans; the widgets that draw them lie beside the others."""
