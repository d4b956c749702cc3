// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit;

/// <summary>One step of a driver.</summary>
/// <param name="Address">Byte address, offset of a register, or PASID.</param>
/// <param name="Value">Value of a store, bytes of everything else.</param>
public readonly record struct MemoryStep(StepKind Kind, ulong Address, ulong Value)
{
    public override string ToString() => Text($"{Kind} 0x{Address:x} 0x{Value:x}");
}
