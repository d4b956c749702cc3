// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.ArmSmmu.Emulation.Functional;

/// <summary>
/// SMMUv3 hardware on plain memory: registers that answer, a queue consumer that refuses ill-formed commands, a walker
/// that reads the configuration as it stands in memory and writes event records. No caches, no page table walk.
/// </summary>
internal sealed class SmmuHardware : IIommuHardware
{
    private readonly SmmuWalker _walker;

    /// <summary>Makes the hardware.</summary>
    public SmmuHardware(IPhysicalMemory memory, SmmuHardwareOptions options)
    {
        Memory = memory;
        Options = options;
        RegisterFile = new SmmuRegisterFile(memory, options, executor: null);
        _walker = new SmmuWalker(memory, options);
    }

    public IPhysicalMemory Memory { get; }
    public IRegisterFile Registers => RegisterFile;
    public SmmuRegisterFile RegisterFile { get; }
    public SmmuHardwareOptions Options { get; }

    public bool IsCoherent => Options.Coherent;

    public TranslationResult Translate(in DmaAccess access)
    {
        if (RegisterFile.WhileDisabled(access) is { } answer)
        {
            return answer;
        }

        WalkOutcome outcome = _walker.Follow(access, RegisterFile.StreamRoot);
        RegisterFile.Record(access, outcome.Fault);
        return outcome.Result;
    }

    public void Dispose()
    {
        // Holds nothing but what the memory holds.
    }
}
