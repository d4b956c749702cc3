// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>
/// One piece of IOMMU hardware behind the seam: plain memory with a queue consumer, a software model, or an emulator.
/// A driver sees nothing else of the machine.
/// </summary>
public interface IIommuHardware : IDisposable
{
    /// <summary>The memory that driver and hardware share.</summary>
    IPhysicalMemory Memory { get; }

    /// <summary>The unit's registers.</summary>
    IRegisterFile Registers { get; }

    /// <summary>Whether the table walker snoops the CPU's caches; if not, stores must be flushed to be seen.</summary>
    bool IsCoherent { get; }

    /// <summary>What the hardware does with one access of a device.</summary>
    TranslationResult Translate(in DmaAccess access);
}
