// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Hardware;
using PasidFramework.Identifiers;

namespace PasidFramework.Conformance.Tests.Flaws;

/// <summary>A table writer that takes an error for success.</summary>
internal sealed class FaultyFormat(IPasidTableFormat inner, Errno swallowed) : IPasidTableFormat
{
    public string Name => inner.Name;

    public OpResult<IPasidTable> Create(IPhysicalMemory memory, int pasidBits, IPasidTableSync sync)
    {
        OpResult<IPasidTable> made = inner.Create(memory, pasidBits, sync);
        return made.IsOk ? OpResult<IPasidTable>.Ok(new Table(made.Value, swallowed)) : made;
    }

    private sealed class Table(IPasidTable inner, Errno swallowed) : IPasidTable
    {
        public int PasidBits => inner.PasidBits;
        public long TableBytes => inner.TableBytes;
        public int Leaves => inner.Leaves;
        public IReadOnlyDictionary<string, ulong> AttachParameters => inner.AttachParameters;

        public OpResult Set(Pasid pasid, in PasidTableEntry entry)
        {
            OpResult set = inner.Set(pasid, entry);
            return set.Errno == swallowed ? OpResult.Ok : set;
        }

        public OpResult Quiet(Pasid pasid) => inner.Quiet(pasid);
        public OpResult Clear(Pasid pasid) => inner.Clear(pasid);
        public void Dispose() => inner.Dispose();
    }
}
