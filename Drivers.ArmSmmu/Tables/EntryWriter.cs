using PasidFramework.Hardware;

namespace PasidFramework.Drivers.ArmSmmu.Tables;

/// <summary>
/// Stores 64-byte entries in the order that a walker reading 64 bits at a time tolerates (Arm IHI 0070 3.21): the word
/// with the valid bit is word 0 in both the stream table entry and the context descriptor.
/// </summary>
internal static class EntryWriter
{
    private const int EntryWords = 8;

    /// <summary>Stores words 1 to 7 and makes them visible, before anything that is stored later.</summary>
    public static void WriteTail(IPhysicalMemory memory, ulong address, ReadOnlySpan<ulong> words)
    {
        for (int word = 1; word < EntryWords; word++)
        {
            memory.WriteQword(address + ((ulong)word * 8), words[word]);
        }

        memory.Flush(address, EntryWords * 8);
        memory.StoreBarrier();
    }

    /// <summary>Stores one word and makes it visible, before anything that is stored later.</summary>
    public static void WriteWord(IPhysicalMemory memory, ulong address, ulong value)
    {
        memory.WriteQword(address, value);
        memory.Flush(address, 8);
        memory.StoreBarrier();
    }
}
