// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;

namespace PasidFramework.TestDrivers;

/// <summary>Hardware with memory and registers that keep what is written, and without a table walker.</summary>
internal sealed class MinimalHardware(IPhysicalMemory memory, bool isCoherent) : IIommuHardware, IRegisterFile
{
    private readonly ConcurrentDictionary<int, ulong> _registers = new();
    public IPhysicalMemory Memory => memory;
    public IRegisterFile Registers => this;
    public bool IsCoherent => isCoherent;

    public TranslationResult Translate(in DmaAccess access) =>
        new(TranslationStatus.Faulted, 0, 0, 1, "this hardware translates nothing");

    public uint Read32(int offset) => (uint)Read64(offset);
    public ulong Read64(int offset) => _registers.GetValueOrDefault(offset);
    public void Write32(int offset, uint value) => _registers[offset] = value;
    public void Write64(int offset, ulong value) => _registers[offset] = value;
    public void Dispose() => _registers.Clear();
}
