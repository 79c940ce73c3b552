import Simulation

CommandLineTool.main()
