// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>Memory that can be read: physical memory, a walker's view of it, or a dump.</summary>
/// <remarks>Addresses are byte addresses; words are little-endian.</remarks>
public interface IMemoryReader
{
    /// <summary>Loads 64 bits.</summary>
    /// <param name="address">Byte address, a multiple of 8.</param>
    /// <returns>The value; 0 where no memory is (see <see cref="IsBacked"/>).</returns>
    ulong ReadQword(ulong address);

    /// <summary>Loads 32 bits from a multiple of 4.</summary>
    uint ReadDword(ulong address);

    /// <summary>Loads bytes; what is not backed reads as 0.</summary>
    void Read(ulong address, Span<byte> destination);

    /// <summary>Whether every byte of the range is memory.</summary>
    bool IsBacked(ulong address, long bytes);

    /// <summary>Loads the words of an entry or of a whole leaf, each in one access.</summary>
    /// <param name="address">Byte address of the first word, a multiple of 8.</param>
    /// <param name="words">Receives them; what is not backed reads as 0.</param>
    void ReadWords(ulong address, Span<ulong> words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            words[i] = ReadQword(address + ((ulong)i * 8));
        }
    }

    /// <summary>Loads the words of an entry, word by word, where every byte of it is memory.</summary>
    /// <param name="address">Byte address of the first word, a multiple of 8.</param>
    /// <param name="words">Receives them; 0 where a byte is no memory.</param>
    /// <returns>Whether all of it is memory.</returns>
    bool TryReadWords(ulong address, Span<ulong> words)
    {
        words.Clear();
        if (!IsBacked(address, words.Length * 8L))
        {
            return false;
        }

        for (int i = 0; i < words.Length; i++)
        {
            words[i] = ReadQword(address + ((ulong)i * 8));
        }

        return true;
    }
}
