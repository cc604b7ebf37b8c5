"""Do the experiments of the VL2 paper (Greenberg et al., SIGCOMM 2009, §5) come out the same on VL2's own lab?"""
